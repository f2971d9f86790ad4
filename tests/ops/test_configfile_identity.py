"""`[identity]`: all of it or nothing, a page over https, and a row of the register."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.ops.config import IdentityConfig
from relayd.ops.configfile import examine_text
from relayd.ops.configfile_credential import Surroundings
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_identity import read_identity
from relayd.ops.configfile_section import Section

SECRET = "whsec_" + "QUJD" * 8
GOOD = {"name": "checkers", "page": "https://verify.example/start", "secret": {"env": "SECRET"},
        "processor": "Checkers"}
ROW = """
[[operator.processors]]
name = "Checkers"
purpose = "verifying identities"
fields = [{fields}]
region = "x"
since = 2026-01-31
[identity]
name = "checkers"
page = "https://verify.example/start"
secret = {{ env = "SECRET" }}
processor = "{name}"
"""


def read(values: dict[str, object], secret: str = SECRET) -> tuple[IdentityConfig, Findings]:
    findings = Findings()
    around = Surroundings({"SECRET": secret, "OLD": "whsec_" + "QUJE" * 8}, Path("/"), "resolve")
    return read_identity(Section(values, ("identity",), findings), around), findings


def test_nothing_is_nobody() -> None:
    config, findings = read({})
    assert config == IdentityConfig() and not findings.faults and not findings.warnings


def test_all_of_it() -> None:
    config, findings = read(dict(GOOD))
    assert config == IdentityConfig(
        "checkers", "https://verify.example/start", "Checkers", (b"ABC" * 8,))
    assert not findings.faults and "ABC" not in repr(config)
    config, findings = read(GOOD | {"secret": [{"env": "SECRET"}, {"env": "OLD"}]})
    assert len(config.secrets) == 2 and not findings.faults


@pytest.mark.parametrize("change", [
    {"name": "Check Ers"}, {"page": "http://verify.example/"}, {"page": "ftp://x"},
    {"page": "https://[x"}, {"page": "https://a:b@verify.example/"}, {"page": "https://v.e/#x"},
    {"secret": "literal"}, {"processor": None}, {"page": None}, {"secret": None},
    {"name": None},
    {"unknown": 1},
])
def test_what_is_wrong_is_a_fault(change: dict[str, object]) -> None:
    values = {name: value for name, value in (GOOD | change).items() if value is not None}
    assert len(read(values)[1].faults) == 1


@pytest.mark.parametrize("page", [
    "http://127.0.0.1:8099/start", "http://localhost/", "http://[::1]:1/", "https://v.e:8443/a?b"])
def test_a_page_of_this_machine_needs_no_tls(page: str) -> None:
    config, findings = read(GOOD | {"page": page})
    assert config.page == page and not findings.faults


def test_a_secret_that_is_none() -> None:
    findings = read(dict(GOOD), "hunter2-hunter2")[1]
    assert [fault.key for fault in findings.faults] == ["identity.secret"]
    assert "hunter2" not in str(findings.faults)


def test_what_is_missing_is_said_once() -> None:
    """Nothing is looked up in the register for who has not been named."""
    for missing in ("name", "processor"):
        text = "".join(line for line in ROW.format(name="Others", fields="").splitlines(True)
                       if not line.startswith(f"{missing} =") or "Checkers" in line)
        reading = examine_text(text, environ={"SECRET": SECRET})
        assert [each.key for each in reading.faults] == [f"identity.{missing}"]


@pytest.mark.parametrize(("name", "fields", "faults"), [
    ("Checkers", '"reference"', 0), ("Others", '"reference"', 1), ("Checkers", '"email"', 1)])
def test_S2_it_is_in_the_register(name: str, fields: str, faults: int) -> None:
    reading = examine_text(ROW.format(name=name, fields=fields), environ={"SECRET": SECRET})
    assert [each.key for each in reading.faults] == ["identity.processor"] * faults
