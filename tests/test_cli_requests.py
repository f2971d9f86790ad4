"""The commands on lawful requests: two users of the system, and a file for its recipient."""

from __future__ import annotations

import json
import os
import pwd
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from relayd import cli_requests
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"
OWN = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = OWN.public_key().public_bytes_raw().hex()
ENTER = ("requests", "enter", "--account", EMAIL, "--basis", "court_order", "--authority", "Court",
         "--reference", "12/26", "--document-sha256", "ab" * 32, "--since", "2020-01-01",
         "--reason", "their letter", "--scope")


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> object:
    """Sets who is at the shell."""
    monkeypatch.setattr(cli_requests, "signed_in", lambda: True)
    return lambda name: monkeypatch.setattr(cli_requests, "user", lambda: name)


def test_S3_two_people_and_a_file(shell: Shell, person: object, tmp_path: Path) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    person("ann")  # type: ignore[operator]
    made = shell.json(*ENTER, "profile,keys")
    out = str(tmp_path / "parcel")
    produce = ("requests", "produce", made["id"], "--reason", "x", "--out", out)
    assert shell("requests", "approve", made["id"], "--reason", "x").code == 2
    assert shell(*produce, "--to", PUBLIC).code == 2
    person("bob")  # type: ignore[operator]
    approved = shell.json("requests", "approve", made["id"], "--reason", "the court is real")
    assert (approved["state"], approved["approver"]) == ("approved", "shell:bob")
    assert shell(*produce).code == 2 and shell(*produce, "--to", "zz").code == 2
    assert "is produced" in shell(*produce, "--to", PUBLIC).out
    assert stat.S_IMODE(Path(out).stat().st_mode) == 0o600
    assert EMAIL.encode() not in Path(out).read_bytes()
    key = tmp_path / "key"
    key.write_text(OWN.private_bytes_raw().hex() + "\n")
    found = json.loads(shell("requests", "open", out, "--key", str(key)).out)
    assert found["profile"][0]["email"] == EMAIL and found["keys"] == []
    assert shell(*produce, "--to", PUBLIC).code == 2  # the file is there
    assert json.loads(shell("requests", "show", made["id"]).out)["produced"] == {
        "profile": 1, "keys": 0}


def test_a_passphrase_and_a_refusal(shell: Shell, person: object, tmp_path: Path) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    person("ann")  # type: ignore[operator]
    one, two = (shell.json(*ENTER, "profile")["id"] for _ in range(2))
    person("bob")  # type: ignore[operator]
    assert "is refused" in shell("requests", "refuse", one, "--reason", "no seal").out
    assert shell("requests", "approve", two, "--reason", "x").code == 0
    out = str(tmp_path / "parcel")
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("a long passphrase\n")
    wrong.write_text("another passphrase\n")
    produce = ("requests", "produce", two, "--reason", "x", "--out", out, "--passphrase")
    assert shell(*produce, str(tmp_path / "none")).code == 2
    assert shell(*produce, str(right)).code == 0
    assert EMAIL in shell("requests", "open", out, "--passphrase", str(right)).out
    assert shell("requests", "open", out, "--passphrase", str(wrong)).code == 2
    assert shell("requests", "open", str(tmp_path / "none"), "--passphrase", str(right)).code == 2
    assert {each["state"] for each in shell.json("requests", "list")} == {"refused", "produced"}
    assert "court_order" in shell("requests", "list").out


def test_S3_content_is_not_held(shell: Shell, person: object) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    person("ann")  # type: ignore[operator]
    assert "is not held" in shell(*ENTER, "content").out
    assert shell(*ENTER, "prompts").code == 2


def test_who_is_at_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = pwd.getpwuid(os.getuid()).pw_name
    login = tmp_path / "loginuid"
    monkeypatch.setattr(cli_requests, "LOGIN_UID", login)
    assert cli_requests.user() == own and not cli_requests.signed_in()
    login.write_text("4294967295")
    assert cli_requests.user() == own and not cli_requests.signed_in()
    # who signed in as another and became this one by sudo
    login.write_text(str(pwd.getpwnam("daemon").pw_uid))
    assert cli_requests.user() == "daemon" and cli_requests.signed_in()


def test_S3_where_nobody_signed_in_nobody_is_the_second(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: whoever may become another user there would be two people."""
    monkeypatch.setattr(cli_requests, "LOGIN_UID", tmp_path / "none")
    shell.json("accounts", "create", "--email", EMAIL)
    made = shell.json(*ENTER, "profile")
    monkeypatch.setattr(cli_requests, "user", lambda: "another")
    for step in ("approve", "refuse"):
        assert shell("requests", step, made["id"], "--reason", "x").code == 2
    assert shell.json("requests", "show", made["id"])["state"] == "open"
