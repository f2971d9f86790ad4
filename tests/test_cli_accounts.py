"""The commands on accounts."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "Ann@Example.org"


def test_create_prints_the_contracts_document(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL, "--name", "Ann")
    assert list(made) == ["id", "email", "name", "created_at"]
    assert (made["email"], made["name"]) == (EMAIL, "Ann")
    assert made["created_at"].endswith("Z")
    [listed] = shell.json("accounts", "list")
    assert listed == {**made, "state": "active"}


def test_an_address_that_is_taken_is_told_with_whose_it_is(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    again = shell("accounts", "create", "--email", EMAIL.lower())
    assert again.code == 2 and made["id"] in again.err and EMAIL.lower() not in again.err.lower()


def test_tables_are_for_people(shell: Shell) -> None:
    created = shell("accounts", "create", "--email", EMAIL)
    assert created.code == 0 and "keys create --account" in created.out
    listed = shell("accounts", "list")
    assert [line.split()[:2] for line in listed.out.splitlines()] == [
        ["ID", "E-MAIL"], [created.out.split()[1], EMAIL]]


def test_each_list_of_addresses_is_in_the_audit_log(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    shell.json("accounts", "list", "--reason", "who is new?")
    shell("accounts", "list")
    events = [event for event in shell.json("audit", "list") if event["action"] == "accounts.list"]
    assert [event["via"] for event in events] == ["shell", "shell"]
    assert {event["reason"] for event in events} == {"who is new?", None}


def test_other_lists_have_no_addresses(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    shell.json("keys", "create", "--account", EMAIL, "--name", "one")
    listed = shell("keys", "list")
    assert made["id"] in listed.out and EMAIL not in listed.out
    assert EMAIL not in shell("usage").out + shell("usage", "--calls").out


@pytest.mark.parametrize("naming", [(EMAIL,), ("--account", EMAIL), ("--email", EMAIL.upper())])
def test_an_account_may_be_named_in_several_ways(shell: Shell, naming: tuple[str, ...]) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    assert shell.json("accounts", "suspend", *naming)["state"] == "suspended"
    assert shell.json("accounts", "resume", made["id"])["state"] == "active"
    assert shell.json("accounts", "resume", "--id", made["id"])["state"] == "active"


def test_erase_may_begin_with_days_to_think_again(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    asked = shell.json("accounts", "erase", EMAIL, "--yes", "--cooling-off",
                       "--reason", "by letter")
    erasure = asked.pop("erasure")
    assert asked == {**made, "state": "closing"}
    assert (erasure["cause"], erasure["state"]) == ("operator", "cooling")
    assert shell("accounts", "erase", EMAIL, "--yes", "--cooling-off").code == 2
    assert shell.json("accounts", "keep", EMAIL)["state"] == "active"
    assert shell("accounts", "keep", EMAIL).code == 2
    assert "called off" not in shell("accounts", "keep", EMAIL).out
    assert "will be erased at" in shell(
        "accounts", "erase", EMAIL, "--yes", "--cooling-off").out
    assert "it is active again" in shell("accounts", "keep", EMAIL).out


@pytest.mark.parametrize("how", ["-y", "--minor"])
def test_erase_at_once(shell: Shell, how: str) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    shown = shell.json("accounts", "erase", EMAIL, "--yes", how)
    certificate = shown.pop("certificate")["certificate"]
    assert shown == {**made, "email": None, "name": None, "state": "erased"}
    assert certificate["account"] == made["id"]
    assert certificate["cause"] == {"-y": "operator", "--minor": "minor"}[how]
    assert shell("accounts", "resume", made["id"]).code == 2
    # once more wipes what may be left, and has no second certificate
    assert shell.json("accounts", "erase", made["id"], "-y")["certificate"] is None
    assert "is erased" in shell("accounts", "erase", made["id"], "-y").out


@pytest.mark.parametrize("harm", [
    ("keys.db", "DELETE FROM data_keys WHERE owner = '{account}'"),
    ("keys.db", "UPDATE data_keys SET wrapped = zeroblob(61)"),
    ("relayd.db", "UPDATE accounts SET email = zeroblob(40), name = zeroblob(40)"),
], ids=["lost", "damaged", "broken"])
def test_an_account_that_can_be_read_no_more_is_moved_and_erased(
    shell: Shell, harm: tuple[str, str],
) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL, "--name", "Ann")
    key = shell.json("keys", "create", "--account", EMAIL, "--name", "laptop")
    # a store of which all keys are lost is not opened at all
    shell.json("accounts", "create", "--email", "other@example.org")
    with closing(sqlite3.connect(shell.store / harm[0], isolation_level=None)) as db:
        db.execute(harm[1].format(account=made["id"]))
    unread = {**made, "email": None, "name": None}
    assert shell.json("accounts", "suspend", EMAIL) == {**unread, "state": "suspended"}
    assert shell.json("accounts", "resume", EMAIL) == {**unread, "state": "active"}
    assert shell.json("operators", "grant", EMAIL, "--role", "legal")["changed"]
    assert shell.json("operators", "list") == [
        {"account": made["id"], "email": None, "roles": ["legal"]}]
    assert shell.json("operators", "revoke", EMAIL, "--role", "legal")["changed"]
    assert shell.json("keys", "revoke", key["id"])["state"] == "revoked"
    assert shell.json("accounts", "limit", EMAIL, "--requests-per-minute", "5")
    assert json.loads(shell("accounts", "export", EMAIL).out)["account"]["email"] is None
    asked = shell.json("accounts", "erase", EMAIL, "--yes", "--cooling-off")
    assert asked["state"] == "closing"
    assert shell.json("accounts", "keep", EMAIL)["state"] == "active"
    assert shell.json("accounts", "terminate", EMAIL) == {**unread, "state": "terminated"}
    assert shell.json("mail", "list", "--all") == []  # nobody could be told
    erased = shell.json("accounts", "erase", EMAIL, "--yes")
    assert erased["state"] == "erased" and erased["certificate"]
    assert shell("accounts", "erase", EMAIL, "--yes").code == 2  # the address names nobody now
    assert shell("audit", "verify").code == 0


def test_erase_asks_a_person_first(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda: "no")
    result = shell("accounts", "erase", EMAIL)
    assert result.code == 2 and "Nothing was erased" in result.err
    assert f"Erase {EMAIL} for good?" in result.err
    assert shell.json("accounts", "list")[0]["state"] == "active"
    monkeypatch.setattr("builtins.input", lambda: "yes")
    assert shell("accounts", "erase", EMAIL).code == 0


def test_export_is_one_document(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    result = shell("accounts", "export", EMAIL)
    assert list(json.loads(result.out)) == ["account", "keys", "call_records"]
    # as the zip's, so that its holder sees it
    events = shell.json("audit", "list", "--account", EMAIL)
    assert [each["action"] for each in events].count("account.export") == 1


@pytest.mark.parametrize("words", [
    ("create", "--email", "nobody"), ("create",), ("create", "--email", EMAIL.lower()),
    ("suspend",), ("suspend", "nobody@example.org"), ("export", "acct_1"),
])
def test_unusable_input_is_exit_code_2_with_words(shell: Shell, words: tuple[str, ...]) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    result = shell("accounts", *words)
    assert result.code == 2 and result.err and not result.out
    assert "nobody" not in result.err and "Traceback" not in result.err


def test_suspending_takes_a_reason_of_the_list_and_posts_a_notice(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    shell.json("accounts", "suspend", EMAIL, "--reason", "abuse", "--note", "ticket 7")
    assert shell("accounts", "suspend", EMAIL, "--reason", "because").code == 2
    assert shell.json("accounts", "terminate", EMAIL, "--reason", "terms")["state"] == "terminated"
    assert shell("accounts", "resume", made["id"]).code == 2
    kinds = [each["kind"] for each in shell.json("mail", "list")]
    assert sorted(kinds) == ["account_suspended", "account_terminated"]


def test_a_link_that_signs_in(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    link = shell.json("accounts", "sign-in-link", EMAIL)
    assert "/sign-in/link?token=" in link["link"] and link["minutes"] == 15
    shown = shell("accounts", "sign-in-link", EMAIL)
    assert shown.code == 0 and "15 minutes" in shown.out
    assert shell("accounts", "sign-in-link", "nobody@example.org").code == 2


def test_export_as_a_zip(shell: Shell, tmp_path: Path) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    path = tmp_path / "ann.zip"
    result = shell("accounts", "export", EMAIL, "--zip", str(path))
    assert (result.code, result.out) == (0, "")
    with zipfile.ZipFile(path) as archive:
        [found] = json.loads(archive.read("account.json"))
    assert found["email"] == EMAIL and path.stat().st_mode & 0o777 == 0o600
    again = shell("accounts", "export", EMAIL, "--zip", str(path))
    assert (again.code, again.err) == (2, f"relayd: {path} is there already.\n")
    unknown = shell("accounts", "export", "nobody@example.org", "--zip", str(tmp_path / "other"))
    assert unknown.code == 2 and "no such account" in unknown.err
