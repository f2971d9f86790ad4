"""Erasure: from asking on nothing works, it may be called off, and nothing of the person stays."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from relayd.control import account, audit, erasure, key, usage, vault
from relayd.control.erasure import Means, Wish
from relayd.control.key import KeyWish
from relayd.control.mail_text import render
from relayd.control.publish import load, policy_version
from relayd.core.actor import SHELL, SYSTEM, Actor
from relayd.core.erasure import COOLING_MS
from relayd.core.errors import RelayError
from relayd.core.operator import Operator
from relayd.core.retention import Terms
from relayd.store import backup
from relayd.store import erasure as store_erasure
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.record import CallFilter
from relayd.store.signing import Signer
from tests.fakes import standing
from tests.fakes.audited import audited
from tests.fakes.person import EMAIL, MARKS, files_with, make_person, said
from tests.fakes.records import START_MS, call_record

SIGNER = Signer(bytes(32))
TERMS = Terms()


def link(path: str, token: str) -> str:
    return f"https://console.example{path}?token={token}"


MEANS = Means(SIGNER, TERMS, link)


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_Y2_nothing_works_from_the_moment_of_asking(db: Database) -> None:
    who = await make_person(db)
    assert not [grant for grant in (await load(db)).keys.values() if grant.suspended]
    asked = await erasure.ask(db, Actor(who), EMAIL, Wish(), START_MS, link)
    assert asked.due_at_ms == START_MS + COOLING_MS
    assert (await account.find(db, who)).state == "closing"
    grants = (await load(db)).keys.values()
    assert all(grant.suspended for grant in grants)
    assert await refused(erasure.ask(db, Actor(who), who, Wish(), START_MS)) == "erasure_state"
    assert await erasure.due(db, START_MS + COOLING_MS - 1, 9) == []
    assert await erasure.due(db, START_MS + COOLING_MS, 9) == [asked]


@pytest.mark.parametrize("before", ["active", "suspended"])
async def test_Y2_within_seven_days_it_can_be_called_off(db: Database, before: str) -> None:
    who = await make_person(db)
    if before == "suspended":
        await standing.move(db, who, "suspend", START_MS)
    asked = await erasure.ask(db, Actor(who), who, Wish(), START_MS, link)
    text = await said(db, "erasure_asked")
    found = await erasure.by_link(db, text["link"].partition("token=")[2])
    assert found == asked and text["ends"] == "2026-01-08"
    kept = await erasure.cancel(db, Actor(who), found, START_MS + 1, link)
    # a suspended account does not come back to life by this way
    assert kept.state == before == (await account.find(db, who)).state
    assert [act[:3] for act in await audited(db, "account.close", "account.keep")] == [
        ("account.close", who, who), ("account.keep", who, who)]
    assert await refused(erasure.cancel(db, Actor(who), found, START_MS)) == "erasure_state"
    assert await refused(erasure.by_link(
        db, text["link"].partition("token=")[2])) == "erasure_not_found"
    assert await refused(erasure.erase(
        db, MEANS, found, START_MS + COOLING_MS)) == "erasure_state"


async def test_Y2_the_summary_says_what_goes_and_what_stays_why_until_when(db: Database) -> None:
    who = await make_person(db)
    shown = await erasure.summary(db, EMAIL, TERMS, START_MS)
    assert shown.goes == {
        "profile": 1, "keys": 1, "app_labels": 1, "tickets": 1, "letters": 1}
    assert {each.part: (each.rows, each.until[:10]) for each in shown.stays} == {
        "call_records": (3, "2026-07-10"), "audit": (2, "2029-01-01"),
        "orders": (3, "2029-01-01"), "consents": (2, "2029-01-01"),
        "erasures": (1, "2029-01-01")}
    assert all("Law" in each.basis or "PIPL" in each.basis or "Code" in each.basis
               for each in shown.stays)
    assert who not in json.dumps(msgspec.to_builtins(shown.stays))


async def erased(db: Database) -> tuple[str, erasure.Signed]:
    who = await make_person(db)
    asked = await erasure.ask(db, Actor(who), who, Wish(), START_MS, link)
    early = START_MS + COOLING_MS - 1
    assert await refused(erasure.erase(db, MEANS, asked, early)) == "erasure_state"
    return who, await erasure.erase(db, MEANS, asked, START_MS + COOLING_MS)


async def test_Y2_byte_search_of_every_file_finds_nothing(db: Database) -> None:
    made = await account.create(db, "Other.Canard@example.org", "Other", START_MS)
    # not sealed, so that the search below has something to find
    await key.create(db, made.id, KeyWish("other", app="other-app"), START_MS)
    who = await make_person(db)
    assert files_with(db.directory, "zeisig-app", "pi_zeisig")
    asked = await erasure.ask(db, Actor(who), who, Wish(), START_MS, link)
    await erasure.erase(db, MEANS, asked, START_MS + COOLING_MS)
    # orders that their partner has not ended keep its number of the payment until it does
    left = files_with(db.directory, *MARKS, EMAIL)
    async with db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'credited'")
    assert set(left) == {"relayd.db"}
    assert await vault.late(db, TERMS, START_MS + COOLING_MS, 10) == 1
    await db.checkpoint()
    assert files_with(db.directory, *MARKS, EMAIL) == {}
    assert files_with(db.directory, "other-app")


async def test_Y2_and_the_data_key_is_gone_for_good(db: Database) -> None:
    who, _ = await erased(db)
    assert who in db.keyring.owners(destroyed=True)
    await db.keyring.make(who)
    with pytest.raises(StoreError) as caught:
        db.keyring.cipher(who)
    assert caught.value.code == "data_key_gone"
    assert (await account.find(db, who)).email is None
    assert [each.state for each in await key.listing(db, who)] == ["revoked"]
    records = [each async for each in usage.calls(db, CallFilter(account=who))]
    assert [each.app for each in records] == [None] * 3
    # the address is free again
    await account.create(db, EMAIL, None, START_MS)


async def test_R2_an_older_backup_opens_no_more(db: Database, tmp_path: Path) -> None:
    who = await make_person(db)
    backup.take(db.directory, tmp_path / "old", with_secret=False, created_at="now")
    asked = await erasure.ask(db, Actor(who), who, Wish(at_once=True), START_MS, link)
    await erasure.erase(db, MEANS, asked, START_MS)
    with closing(sqlite3.connect(tmp_path / "old" / "relayd.db")) as old:
        [(email, subject)] = old.execute(
            "SELECT a.email, t.subject FROM accounts a JOIN tickets t ON t.account_id = a.id"
            " WHERE a.id = ?", (who,)).fetchall()
    async with db.reading() as transaction:
        for table, column, sealed in (
                ("accounts", "email", email), ("tickets", "subject", subject)):
            with pytest.raises(StoreError) as caught:
                transaction.unseal(who, table, column, who, sealed)
            assert caught.value.code == "data_key_gone"
    assert not files_with(tmp_path / "old", EMAIL, "Zeisig Name", "Kanarienvogel")


async def test_Y2_the_certificate_is_signed_mailed_and_fetched(db: Database) -> None:
    who, signed = await erased(db)
    text = await said(db, "erasure_done")
    assert erasure.verify(text["certificate"], SIGNER.public) == signed.certificate
    for language in ("en", "zh"):  # as it is read in the mail, where other times are words
        mailed = render("erasure_done", language, text, Operator()).text
        [line] = [line for line in mailed.splitlines() if line.startswith("{")]
        assert erasure.verify(line, SIGNER.public) == signed.certificate
        assert {"en": "records of transactions", "zh": "交易信息"}[language] in mailed
        assert all(f"\n{each.until[:10]}: " in mailed for each in signed.certificate.kept)
    fetched = await erasure.certificate(db, text["link"].partition("token=")[2])
    assert erasure.verify(fetched, SIGNER.public) == signed.certificate
    assert signed.certificate.account == who
    assert signed.certificate.erased["tickets"] == 1
    assert {each.part for each in signed.certificate.kept} == {
        "call_records", "audit", "orders", "consents", "erasures"}
    assert not [word for word in (*MARKS, EMAIL) if word.lower() in fetched.lower()]
    assert await refused(erasure.certificate(db, "nobody")) == "erasure_not_found"


@pytest.mark.parametrize("change", ["account", "kept", "signature", "key", "json"])
async def test_a_certificate_that_was_changed_is_found(db: Database, change: str) -> None:
    _, signed = await erased(db)
    raw = json.loads(msgspec.json.encode(signed))
    if change == "account":
        raw["certificate"]["account"] = "acct_other"
    elif change == "kept":
        raw["certificate"]["kept"].pop()
    elif change == "signature":
        raw["signature"] = "00" * 64
    public = Signer(b"1" * 32).public if change == "key" else SIGNER.public
    text = "{" if change == "json" else json.dumps(raw)
    with pytest.raises(RelayError) as caught:
        erasure.verify(text, public)
    assert caught.value.code == "invalid_value"


async def test_E3_what_survives_is_in_the_vault_and_nowhere_else(db: Database) -> None:
    who, _ = await erased(db)
    legal = Actor("acct_legal", frozenset({"legal"}))
    assert await refused(vault.look(
        db, Actor("acct_s", frozenset({"support"})), who, "a case", START_MS)) == "role_needed"
    assert await refused(vault.look(db, legal, who, " ", START_MS)) == "reason_missing"
    items = await vault.look(db, legal, who, "court file 7", START_MS)
    assert sorted((item.kind, item.content.get("trade") or item.content.get("item"))
                  for item in items) == [
        ("consent", "privacy"), ("consent", "terms"), ("order", "pi_zeisig_0")]
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT * FROM consents") == []
        rows = await transaction.rows("SELECT id, session, trade FROM orders ORDER BY id")
    # what its partner has not ended stays until then
    assert rows[0] == ("ord_0", None, None) and rows[1][2] == "pi_zeisig_1"
    events = [entry.event.action async for entry in audit.listing(db, target=who)]
    assert events[-2:] == ["account.erase", "vault.look"]


async def test_a_relay_that_runs_is_told_of_each_step(db: Database) -> None:
    """Its keys end with the request, come back with it, and are forgotten with the account."""
    who = await make_person(db)
    versions = [await policy_version(db)]
    asked = await erasure.ask(db, Actor(who), who, Wish(), START_MS, link)
    versions.append(await policy_version(db))
    await erasure.cancel(db, Actor(who), asked, START_MS + 1, link)
    versions.append(await policy_version(db))
    asked = await erasure.ask(db, Actor(who), who, Wish(), START_MS + 2, link)
    versions.append(await policy_version(db))
    assert await erasure.erase(db, MEANS, asked, START_MS + 2 + COOLING_MS) is not None
    versions.append(await policy_version(db))
    assert versions == sorted(set(versions))


async def test_M3_a_minor_s_account_goes_without_a_cooling_off(db: Database) -> None:
    who = await make_person(db)
    signed = await erasure.at_once(db, MEANS, SHELL, who, START_MS, "minor")
    assert signed is not None and signed.certificate.cause == "minor"
    assert (await account.find(db, who)).state == "erased"
    # asking twice is harmless
    assert await erasure.at_once(db, MEANS, SHELL, who, START_MS) is None


async def test_one_that_cools_is_carried_out_instead(db: Database) -> None:
    who = await make_person(db)
    asked = await erasure.ask(db, Actor(who), who, Wish(), START_MS, link)
    signed = await erasure.at_once(db, MEANS, SHELL, who, START_MS + 5)
    assert signed is not None and signed.certificate.erasure == asked.id


async def test_a_reader_in_the_way_is_told_and_the_rest_is_wiped_later(db: Database) -> None:
    who = await make_person(db)
    asked = await erasure.ask(db, SYSTEM, who, Wish("dormant", at_once=True), START_MS)
    other = await open_database(db.directory, busy_ms=100)
    async with other.reading() as transaction:
        await transaction.rows("SELECT * FROM accounts")
        assert await refused(erasure.erase(db, MEANS, asked, START_MS)) == "store_busy"
    await other.close()
    assert (await account.find(db, who)).state == "erased"
    assert await erasure.finish(db) == 0
    assert files_with(db.directory, "zeisig-app") == {}


async def test_a_reader_in_the_way_of_what_a_crash_left_is_told(db: Database) -> None:
    who = await make_person(db)
    async with db.writing() as transaction:
        found = await account.store_account.get(transaction, who)
        await account.empty(transaction, found, START_MS)
    other = await open_database(db.directory, busy_ms=100)
    async with other.reading() as transaction:
        await transaction.rows("SELECT * FROM accounts")
        assert await refused(erasure.finish(db)) == "store_busy"
    await other.close()
    assert who in db.keyring.owners(destroyed=True) and await erasure.finish(db) == 0


def test_links_have_their_token_or_none() -> None:
    link = erasure.linked("https://relay.example")
    assert link("/sign-in", "") == "https://relay.example/sign-in"
    assert link("/erasure", "abc") == "https://relay.example/erasure?token=abc"


async def test_a_key_that_a_crash_left_is_destroyed(db: Database) -> None:
    who = await make_person(db)
    async with db.writing() as transaction:
        found = await account.store_account.get(transaction, who)
        await account.empty(transaction, found, START_MS)
    assert who in db.keyring.owners()
    assert await erasure.finish(db) == 1
    assert who in db.keyring.owners(destroyed=True)


async def test_Y2_a_copy_in_clear_goes_though_a_crash_came_before(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await make_person(db)
    folder = db.directory / backup.SAVED_FOLDER
    folder.mkdir()
    (folder / "before-0005-20260101T000000Z.db").write_bytes(b"zeisig in clear")

    def crash(directory: Path, account: str) -> int:
        raise StoreError("store_failed")

    async def killed(*owners: str) -> None:
        raise StoreError("store_failed")

    with monkeypatch.context() as patch:
        patch.setattr(backup, "remove_unsealed", crash)
        patch.setattr(db.keyring, "destroy", killed)
        asked = await erasure.ask(db, SHELL, who, Wish(at_once=True), START_MS)
        assert await refused(erasure.erase(db, MEANS, asked, START_MS)) == "store_failed"
    assert (await account.find(db, who)).state == "erased"
    assert await erasure.finish(db) == 1
    assert list(folder.iterdir()) == []


async def test_Y2_the_copies_go_before_the_key(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, there = await make_person(db), []

    def look(directory: Path, account: str) -> int:
        there.append(who in db.keyring.owners())
        return 0

    monkeypatch.setattr(backup, "remove_unsealed", look)
    await erasure.at_once(db, MEANS, SHELL, who, START_MS)
    # a crash in between leaves the key, and so something to find
    assert there == [True]


async def test_a_call_that_is_stored_meanwhile_has_no_label_either(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await make_person(db)
    empty_labels, late = erasure._empty_labels, call_record(account=who, app="zeisig-late")

    async def and_then_a_call(db: Database, account: str, since_ms: int = 0) -> None:
        await empty_labels(db, account, since_ms)
        await usage.post(db, [late])

    monkeypatch.setattr(erasure, "_empty_labels", and_then_a_call)
    await erasure.at_once(db, MEANS, SHELL, who, START_MS)
    records = [each async for each in usage.calls(db, CallFilter(account=who))]
    assert len(records) == 4 and {each.app for each in records} == {None}
    assert "zeisig-late" not in files_with(db.directory, "zeisig-late").values()


async def test_E2_dormancy_begins_an_erasure_unless_something_is_owed(db: Database) -> None:
    who = await make_person(db)
    async with db.writing() as transaction:
        await transaction.run(
            "INSERT INTO ledger_accounts (number, kind, owner, currency, balance_nano)"
            " VALUES (1, 'balance', ?, 'USD', 5)", (who,))
    assert not await erasure.begin_dormant(db, who, START_MS, link)
    assert await erasure.waiting(db, who) is None
    async with db.writing() as transaction:
        await transaction.run("UPDATE ledger_accounts SET balance_nano = 0")
    assert await erasure.begin_dormant(db, who, START_MS, link)
    found = await erasure.waiting(db, who)
    assert found is not None and (found.cause, found.due_at_ms) == (
        "dormant", START_MS + COOLING_MS)
    # and once more changes nothing
    assert await erasure.begin_dormant(db, who, START_MS + 5, link)
    assert await erasure.waiting(db, who) == found


async def test_dormancy_begins_for_who_cannot_be_told_too(db: Database) -> None:
    who = await make_person(db)
    await db.keyring.destroy(who)
    assert await erasure.begin_dormant(db, who, START_MS, link)
    found = await erasure.waiting(db, who)
    assert found is not None and found.due_at_ms == START_MS + COOLING_MS
    await erasure.erase(db, MEANS, found, found.due_at_ms)
    assert (await account.find(db, who)).state == "erased"
    assert not await erasure.begin_dormant(db, who, found.due_at_ms, link)


async def test_every_column_that_leads_to_an_account_has_its_fate(db: Database) -> None:
    names = {"account_id", "operator_id", "target", "actor", "account"}
    owners = {("ledger_accounts", "owner")}
    # whose rows go with those of another table, or hold operators' acts
    follows = {("account_roles", "given_by"), ("legal_requests", "requester"),
               ("legal_requests", "approver")}
    async with db.reading() as transaction:
        tables = [row[0] for row in await transaction.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        leading = set()
        for table in tables:
            columns = {row[1] for row in await transaction.rows(
                "SELECT * FROM pragma_table_info(?)", (table,))}
            leading |= {(table, column) for column in columns & names}
            leading |= {(table, row[3]) for row in await transaction.rows(
                "SELECT * FROM pragma_foreign_key_list(?)", (table,)) if row[2] == "accounts"}
    known = {(rule.table, rule.column) for rule in store_erasure.TABLES}
    assert leading | owners | {("accounts", "id")} == known | (leading & follows)
