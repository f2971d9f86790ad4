// What pages do besides: everything works without it. No state is kept in the browser.

/** Adds a button to everything that is there to be copied. */
function addCopying(root) {
  for (const box of root.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "second small";
    button.textContent = box.dataset.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(box.querySelector("pre, code").textContent.trim());
      button.textContent = box.dataset.copied;
      document.getElementById("said").textContent = box.dataset.copied;
      setTimeout(() => { button.textContent = box.dataset.copy; }, 2000);
    });
    box.append(button);
  }
}

/** Looks every two seconds whether something has happened, and then shows the page anew. */
function awaitChange(box) {
  const look = async () => {
    if (document.visibilityState === "visible") {
      const answer = await fetch(box.dataset.await, { headers: { accept: "application/json" } });
      if (answer.ok && (await answer.json()).seen) {
        location.assign(box.dataset.then);
        return;
      }
      if (answer.status === 401) return;
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}

/** A choice that is a form of its own is sent when it is made. */
function sendChoices(root) {
  for (const select of root.querySelectorAll("select[data-send]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
}

/** Asks before what cannot be undone. */
function askBefore(root) {
  for (const form of root.querySelectorAll("form[data-ask]")) {
    form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.ask)) event.preventDefault();
    });
  }
}

/** On a narrow screen the menu is one line that scrolls: it starts where one is. */
function showWhereOneIs(menu) {
  const at = menu?.querySelector("[aria-current]");
  if (at) menu.scrollLeft = at.offsetLeft - menu.offsetLeft - 16;
}

showWhereOneIs(document.querySelector(".side .groups"));
addCopying(document);
sendChoices(document);
askBefore(document);
for (const box of document.querySelectorAll("[data-await]")) awaitChange(box);
