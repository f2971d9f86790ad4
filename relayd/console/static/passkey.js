// Passkeys: shows the forms that need one where the browser has them, and puts the answer in.

const able = typeof PublicKeyCredential !== "undefined"
  && "parseCreationOptionsFromJSON" in PublicKeyCredential;

/** The options from the console, in the form that the browser takes. */
async function optionsFor(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST", headers: { accept: "application/json" },
  });
  if (!answer.ok) throw new Error(String(answer.status));
  const { options } = await answer.json();
  return form.dataset.passkey === "create"
    ? PublicKeyCredential.parseCreationOptionsFromJSON(options)
    : PublicKeyCredential.parseRequestOptionsFromJSON(options);
}

/** Asks the authenticator, then sends the form with what it said. */
async function answer(form) {
  const publicKey = await optionsFor(form);
  const said = form.dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey })
    : await navigator.credentials.get({ publicKey });
  form.elements.answer.value = JSON.stringify(said.toJSON());
  form.submit();
}

for (const form of able ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(form).catch(() => {
      document.getElementById("said").textContent = form.dataset.failed;
      const told = document.createElement("p");
      told.className = "fault";
      told.textContent = form.dataset.failed;
      form.querySelector(".fault")?.remove();
      form.append(told);
    });
  });
}
