"""Passkeys, with an authenticator in software: two factors, answered once, told to the owner."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from relayd.control import account, audit, identity, passkey, session
from relayd.control.door import Door
from relayd.core.errors import RelayError
from relayd.core.passkey import CHALLENGE_MS, CREDENTIAL_BYTES_MAX, PASSKEYS_MAX
from tests.fakes.authenticator import Authenticator, text
from tests.fakes.door import CALLER, EMAIL, ORIGIN, USERNAME, WISH, mails, registered
from tests.fakes.records import START_MS

BY = (CALLER, START_MS)


def authenticator(**changes: Any) -> Authenticator:
    return Authenticator(**{"origin": ORIGIN, "host": "relay.test", **changes})


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def added(door: Door, device: Authenticator, email: str = EMAIL) -> passkey.Passkey:
    me = await account.find(door.db, email)
    options = await passkey.options_to_add(door, me, START_MS)
    return await passkey.add(door, me.id, "phone", device.create(options), BY)


async def signed(door: Door, device: Authenticator, now_ms: int = START_MS) -> Any:
    options = await passkey.options_to_sign_in(door, now_ms)
    return await passkey.sign_in_with(door, device.get(options), CALLER, now_ms)


async def test_U2_added_and_signed_in_with(door: Door) -> None:
    await registered(door)
    await mails(door.db)
    device = authenticator()
    made = await added(door, device)
    assert [kind for kind, _, _ in await mails(door.db)] == ["second_factor_changed"]
    assert [entry.event.action async for entry in audit.listing(
        door.db, target=made.account)][-1] == "passkey.add"
    opened = await signed(door, device)
    assert opened.session.two_factors and opened.session.method == "passkey"
    assert await session.recognise(door.db, opened.token, START_MS) is not None
    [listed] = await passkey.listing(door.db, made.account)
    assert passkey.view(listed)["name"] == "phone" and listed.used_at_ms == START_MS


async def test_an_id_has_a_bound(door: Door) -> None:
    await registered(door)
    me = await account.find(door.db, EMAIL)
    for length, kept in ((CREDENTIAL_BYTES_MAX, True), (CREDENTIAL_BYTES_MAX + 1, False)):
        device = authenticator(credential=bytes(length))
        answer = device.create(await passkey.options_to_add(door, me, START_MS))
        if kept:
            await passkey.add(door, me.id, "phone", answer, BY)
        else:
            assert await refused(passkey.add(
                door, me.id, "phone", answer, BY)) == "passkey_refused"


async def test_an_answer_counts_once(door: Door) -> None:
    await registered(door)
    device = authenticator(counts=False)
    me = await account.find(door.db, EMAIL)
    options = await passkey.options_to_add(door, me, START_MS)
    answer = device.create(options)
    await passkey.add(door, me.id, "phone", answer, BY)
    # nor with another key, or the same one for another question
    again = await passkey.options_to_add(door, me, START_MS)
    for answer in (answer, authenticator().create(options), device.create(again)):
        assert await refused(passkey.add(door, me.id, "again", answer, BY)) == "passkey_refused"
    options = await passkey.options_to_sign_in(door, START_MS)
    answer = device.get(options)
    await passkey.sign_in_with(door, answer, CALLER, START_MS)
    late = START_MS + CHALLENGE_MS - 1
    await identity.sweep(door.db, late)  # which forgets no answer that could come again
    for now_ms in (START_MS, late):
        assert await refused(
            passkey.sign_in_with(door, answer, CALLER, now_ms)) == "passkey_refused"


async def test_what_is_refused(door: Door) -> None:
    await registered(door)
    device = authenticator()
    me = await account.find(door.db, EMAIL)
    await added(door, device)
    options = await passkey.options_to_sign_in(door, START_MS)
    late = START_MS + CHALLENGE_MS
    for answer, now in (
        (device.get(options), late),
        (replace(device, origin="https://evil.test").get(options), START_MS),
        (replace(device, host="evil.test").get(options), START_MS),
        (replace(device, verifies=False).get(options), START_MS),
        (authenticator().get(options), START_MS),
        (authenticator(credential=device.credential).get(options), START_MS),
        (device.get({"challenge": "AAAA"}), START_MS),
        (device.get(await passkey.options_to_add(door, me, START_MS)), START_MS),
    ):
        assert await refused(
            passkey.sign_in_with(door, answer, CALLER, now)) == "passkey_refused"


@pytest.mark.parametrize("answer", [
    {}, {"response": None}, {"rawId": 5, "response": {"clientDataJSON": "e30"}},
    {"rawId": "", "response": {"clientDataJSON": "AAAA"}}, {"response": {"clientDataJSON": []}},
    {"rawId": "AA", "response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOjV9"}},
    {"rawId": "AA", "response": {"clientDataJSON": "W1tb" * 9000}},
])
async def test_junk_is_refused(door: Door, answer: dict[str, Any]) -> None:
    account_id = (await registered(door)).session.account
    assert await refused(passkey.sign_in_with(door, answer, CALLER, START_MS)) == "passkey_refused"
    assert await refused(passkey.add(door, account_id, "x", answer, BY)) == "passkey_refused"


def certificate() -> bytes:
    """One whose key is on a curve that no library here knows (prime239v3)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2026, 1, 1),
                                   datetime(2036, 1, 1)).sign(key, SHA256())
    known = bytes.fromhex("06082a8648ce3d030107")
    return made.public_bytes(Encoding.DER).replace(known, known[:-1] + b"\x06")


@pytest.mark.parametrize(("changes", "cose"), [
    ({}, b""), ({}, cbor2.dumps(b"")), ({}, cbor2.dumps([])),
    ({"fmt": "packed", "attStmt": {"alg": -7, "sig": b"s", "x5c": [certificate()]}}, None),
])
async def test_keys_that_cannot_be_read_are_refused(
    door: Door, changes: dict[str, Any], cose: bytes | None,
) -> None:
    await registered(door)
    device = authenticator()
    me = await account.find(door.db, EMAIL)
    answer = device.create(await passkey.options_to_add(door, me, START_MS))
    made = cbor2.loads(base64.urlsafe_b64decode(answer["response"]["attestationObject"] + "=="))
    if cose is not None:  # the key is behind the credential's id
        made["authData"] = made["authData"].partition(device.credential)[0] + device.credential
        made["authData"] += cose
    answer["response"]["attestationObject"] = text(cbor2.dumps({**made, **changes}))
    assert await refused(passkey.add(door, me.id, "n", answer, BY)) == "passkey_refused"


async def test_a_clone_is_noticed_by_its_count(door: Door) -> None:
    await registered(door)
    device = authenticator()
    await added(door, device)
    clone = replace(device)
    for _ in range(3):
        await signed(door, device)
    with pytest.raises(RelayError):
        await signed(door, clone)


async def test_one_account_s_challenge_adds_nothing_to_another(door: Door) -> None:
    await registered(door)
    other = await registered(
        door, replace(WISH, email="other@example.org", username="other"), START_MS + 1)
    options = await passkey.options_to_add(door, await account.find(door.db, EMAIL), START_MS)
    assert await refused(passkey.add(
        door, other.session.account, "x", authenticator().create(options),
        BY)) == "passkey_refused"


async def test_a_proof_by_passkey_is_of_the_same_account(door: Door) -> None:
    mine = await registered(door)
    device = authenticator()
    await added(door, device)
    other = await registered(
        door, replace(WISH, email="other@example.org", username="other"), START_MS + 1)
    options = await passkey.options_to_sign_in(door, START_MS)
    assert await refused(passkey.prove(
        door, other.session, device.get(options), START_MS)) == "passkey_refused"
    proved = await passkey.prove(door, mine.session, device.get(options), START_MS + 5)
    assert proved.session.proved_at_ms == START_MS + 5 and proved.session.two_factors


async def test_removed_it_opens_nothing(door: Door) -> None:
    await registered(door)
    device = authenticator()
    made = await added(door, device)
    assert await refused(
        passkey.remove(door, "acct_other", made.id, BY)) == "factor_not_found"
    await passkey.remove(door, made.account, made.id, BY)
    assert await refused(passkey.remove(door, made.account, made.id, BY)) == "factor_not_found"
    with pytest.raises(RelayError):
        await signed(door, device)
    assert [entry.event.action async for entry in audit.listing(
        door.db, target=made.account)].count("passkey.remove") == 1


async def test_what_a_browser_is_asked(door: Door) -> None:
    await registered(door)
    me = await account.find(door.db, EMAIL)
    device = authenticator()
    made = await added(door, device)
    asked = await passkey.options_to_add(door, me, START_MS)
    assert (asked["rp"], asked["user"]["name"], asked["timeout"]) == (
        {"name": "relayd", "id": "relay.test"}, USERNAME, CHALLENGE_MS)
    assert [each["id"] for each in asked["excludeCredentials"]] == [text(made.credential)]
    unnamed = replace(me, username=None)
    assert (await passkey.options_to_add(door, unnamed, START_MS))["user"]["name"] == EMAIL
    # signing in names nobody, and finds what the authenticator keeps alone
    kept = (await passkey.options_to_add(door, me, START_MS))["authenticatorSelection"]
    assert (kept["residentKey"], kept["requireResidentKey"]) == ("required", True)
    asked = await passkey.options_to_sign_in(door, START_MS)
    assert (asked["rpId"], asked["timeout"], asked["userVerification"]) == (
        "relay.test", CHALLENGE_MS, "required")


async def test_one_that_is_removed_while_it_is_checked_opens_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await registered(door)
    device = authenticator()
    made = await added(door, device)
    verified = passkey._verified

    async def slow(*values: Any) -> Any:
        found = await verified(*values)
        await passkey.remove(door, made.account, made.id, BY)
        return found

    monkeypatch.setattr(passkey, "_verified", slow)
    assert await refused(signed(door, device)) == "passkey_refused"
    listed = await session.listing(door.db, made.account, START_MS)
    assert [each.id for each in listed] == [opened.session.id]


async def test_there_are_never_too_many(door: Door) -> None:
    await registered(door)
    for _ in range(PASSKEYS_MAX):
        await added(door, authenticator())
    with pytest.raises(RelayError) as caught:
        await added(door, authenticator())
    assert caught.value.code == "account_state"


async def test_challenges_that_were_kept_make_no_more_of_them(door: Door) -> None:
    await registered(door)
    me = await account.find(door.db, EMAIL)
    kept = [await passkey.options_to_add(door, me, START_MS) for _ in range(PASSKEYS_MAX + 1)]
    for options in kept[:-1]:
        await passkey.add(door, me.id, "phone", authenticator().create(options), BY)
    last = authenticator().create(kept[-1])
    assert await refused(passkey.add(door, me.id, "phone", last, BY)) == "account_state"


@pytest.mark.parametrize(("origin", "host", "asks"), [
    ("https://relay.test", "relay.test", "https://relay.test"),
    ("http://127.0.0.1:8081", "localhost", "http://localhost:8081"),
    ("http://127.0.0.1:8081", "localhost", "http://127.0.0.1:8081"),
    ("http://[::1]", "localhost", "http://localhost"),
])
async def test_a_site_is_known_by_a_name(
        door: Door, origin: str, host: str, asks: str) -> None:
    await registered(door)
    here = Door(door.db, door.hashing, lambda: origin, steady_seconds=0.0)
    device = authenticator(origin=asks, host=host)
    await added(here, device)
    assert (await signed(here, device)).session.two_factors
