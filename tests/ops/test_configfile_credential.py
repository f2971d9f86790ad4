"""Credentials: the three ways, the refusal of literals, and no secret in any text."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.ops.configfile_credential import (
    CREDENTIAL_BYTES_MAX, Secrets, Surroundings, read_credentials, read_pem,
)
from relayd.ops.configfile_fault import Findings

SECRET = "sk-provider-0123456789"


def read(
    value: object, folder: Path, secrets: Secrets = "resolve", **environ: str,
) -> tuple[tuple[str, ...], Findings]:
    findings = Findings()
    around = Surroundings(environ, folder, secrets)
    assert SECRET not in repr(around)
    return read_credentials(value, ("c",), around, findings), findings


def put(folder: Path, name: str, text: str, mode: int = 0o600) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_three_ways(tmp_path: Path) -> None:
    put(tmp_path, "cred", SECRET + "\n")
    for reference in ({"env": "KEY"}, {"file": "cred"}, {"file": str(tmp_path / "cred")},
                      {"systemd": "cred"}):
        found, findings = read(reference, tmp_path, KEY=SECRET,
                               CREDENTIALS_DIRECTORY=str(tmp_path))
        assert found == (SECRET,) and not findings.faults, reference


def test_a_list_rotates_in_order(tmp_path: Path) -> None:
    found, findings = read([{"env": "B"}, {"env": "A"}], tmp_path, A="one", B="two")
    assert found == ("two", "one") and not findings.faults
    _, findings = read([{"env": "A"}, {"env": "B"}], tmp_path, A="same", B="same")
    assert findings.faults[0].key == "c[1]"


def test_absent(tmp_path: Path) -> None:
    assert read(None, tmp_path)[0] == ()


@pytest.mark.parametrize("value", [
    SECRET, [SECRET], [{"env": "KEY"}, SECRET], {"value": SECRET}, {SECRET: "env"},
    {"env": SECRET}, {"systemd": "../" + SECRET},
    {"env": 1}, {"env": ""}, {"env": "KEY", "file": SECRET}, {}, [], 7,
    {"file": SECRET}, [[SECRET]],
])
def test_refused_without_repeating_it(value: object, tmp_path: Path) -> None:
    _, findings = read(value, tmp_path, KEY="k", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert len(findings.faults) == 1
    assert SECRET not in str(findings.faults[0])


@pytest.mark.parametrize("value", [SECRET, {"value": SECRET}, []])
def test_literals_are_answered_with_the_three_ways(value: object, tmp_path: Path) -> None:
    [fault] = read(value, tmp_path)[1].faults
    assert all(way in fault.remedy for way in ("env", "file", "systemd"))


@pytest.mark.parametrize("text", ["", "\n", SECRET + "\nsecond", SECRET + " x", SECRET + "\u00e9",
                                  "x" * (CREDENTIAL_BYTES_MAX + 1)])
@pytest.mark.parametrize("way", ["env", "file"])
def test_contents_that_cannot_be_credentials(way: str, text: str, tmp_path: Path) -> None:
    put(tmp_path, "cred", text)
    found, findings = read({way: "cred"}, tmp_path, cred=text)
    assert found == () and len(findings.faults) == 1
    assert SECRET not in str(findings.faults[0])


@pytest.mark.parametrize(("mode", "usable"), [(0o600, True), (0o640, True), (0o644, False),
                                              (0o602, False)])
def test_file_modes(mode: int, usable: bool, tmp_path: Path) -> None:
    put(tmp_path, "cred", SECRET, mode)
    found, findings = read({"file": "cred"}, tmp_path)
    assert bool(found) is usable and bool(findings.faults) is not usable


def test_missing_ones(tmp_path: Path) -> None:
    for reference in ({"env": "NONE"}, {"file": "none"}, {"systemd": "none"}):
        assert read(reference, tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))[1].faults


def test_systemd_outside_the_service(tmp_path: Path) -> None:
    assert read({"systemd": "x"}, tmp_path)[1].faults
    _, findings = read({"systemd": "x"}, tmp_path, "examine")
    assert not findings.faults and len(findings.warnings) == 1


def test_skip_follows_nothing_and_judges_the_form(tmp_path: Path) -> None:
    for reference in ({"env": "NONE"}, {"file": "none"}, {"systemd": "none"}):
        found, findings = read(reference, tmp_path, "skip")
        assert found == () and not findings.faults and not findings.warnings
    assert read(SECRET, tmp_path, "skip")[1].faults


@pytest.mark.parametrize(("value", "words"), [
    ({"env": 1}, "is not a name"), ({"env": ""}, "is not a name"),
    ({"file": "a\0b"}, "is not a name"),
    ({"env": "a b"}, "not the name of an environment variable"),
    ({"env": "NONE"}, "that is not set"), ({"env": "EMPTY"}, "refers to nothing"),
    ({"env": "SPACED"}, "cannot be a credential"), ({"file": "none"}, "that cannot be read"),
    ({"systemd": "../c"}, "not the name of a systemd credential"),
    ({"systemd": "none"}, "that cannot be read"),
])
def test_each_fault_in_its_own_words(value: object, words: str, tmp_path: Path) -> None:
    _, findings = read(value, tmp_path, EMPTY=" \n", SPACED="a b",
                       CREDENTIALS_DIRECTORY=str(tmp_path))
    assert [words in fault.problem for fault in findings.faults] == [True]


PEM = "-----BEGIN PRIVATE KEY-----\n"


@pytest.mark.parametrize(("text", "usable"), [
    (PEM, True), ("\n " + PEM, True), (SECRET, False), ("", False),
    (PEM + "x" * (CREDENTIAL_BYTES_MAX - len(PEM)), True),
    (PEM + "x" * (CREDENTIAL_BYTES_MAX + 1 - len(PEM)), False),
])
@pytest.mark.parametrize("way", ["file", "systemd"])
def test_pem(way: str, text: str, usable: bool, tmp_path: Path) -> None:
    put(tmp_path, "key", text)
    findings = Findings()
    around = Surroundings({"CREDENTIALS_DIRECTORY": str(tmp_path)}, tmp_path, "resolve")
    assert read_pem({way: "key"}, ("c",), around, findings) == (text if usable else "")
    assert [fault.problem for fault in findings.faults] == (
        [] if usable else ["names a file that is not in PEM"])


def test_pem_is_in_no_variable(tmp_path: Path) -> None:
    findings = Findings()
    around = Surroundings({"KEY": PEM}, tmp_path, "resolve")
    assert read_pem({"env": "KEY"}, ("c",), around, findings) == ""
    assert "file and systemd" in findings.faults[0].problem
