"""What the guides in docs/ name exists: commands, metrics, keys, error codes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relayd.cli import DESCRIPTION, GROUPS
from relayd.cli import commands as all_commands
from relayd.cli_command import build_parser
from relayd.control.erasure import Signed
from relayd.core.canary_report import canonical, signed
from relayd.core.erasure import Certificate, Kept, signed_bytes
from relayd.core.errors import ERRORS
from relayd.store.signing import Signer
from tests.shared import ROOT
from tools.configuration import keys

GUIDES = ("operators.md", "holders.md", "money.md", "clients.md", "promises.md")


def text(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def guides() -> str:
    return "".join(map(text, GUIDES))


def commands(page: str) -> Iterator[list[str]]:
    """The words of every `relayd ...` line of a page's shell blocks, without the comment."""
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            match = re.match(r"(?:\S*/)?relayd (?=[a-z])", line)
            if match is not None:
                line = re.sub(r"[<>|].*", "", line[match.end():])
                yield shlex.split(line.replace("$(", "(").replace("(date +%F)", "D"),
                                  comments=True)


@pytest.mark.parametrize("page", ["docs/operators.md", "docs/holders.md", "docs/console.md",
                                  "README.md"])
def test_commands_are_ones_that_the_program_takes(page: str) -> None:
    parser = build_parser("relayd", DESCRIPTION, GROUPS, all_commands())
    found = list(commands((ROOT / page).read_text("utf-8")))
    assert len(found) > 2
    for words in found:
        assert parser.parse_args(words).run


def test_metrics_that_are_named_exist() -> None:
    told = set(re.findall(r"\brelayd_[a-z_]+", guides()))
    assert len(told) > 2
    assert told <= set(re.findall(r"\brelayd_[a-z_]+", text("metrics.md")))


def test_errors_that_are_named_exist_with_their_status() -> None:
    told = re.findall(r"\b([45]\d\d) `(\w+)`", guides())
    assert len(told) > 4
    assert [(status, code) for status, code in told
            if code != "draining" and (code not in ERRORS
                                       or ERRORS[code].status != int(status))] == []


def test_keys_that_are_named_exist() -> None:
    known = {key.name for key in keys()}
    told = re.findall(r"`\[(\w+)\] (\w+)", guides())
    assert len(told) > 5
    assert [pair for pair in told if pair[1] not in known] == []


def test_every_promise_has_a_test_and_commands_that_exist() -> None:
    rows = [line for line in text("promises.md").splitlines() if line.startswith("| ")][2:]
    tests = [re.findall(r"`(tests/\S+\.py)`", row) for row in rows]
    assert len(rows) > 15 and all(tests)
    assert [name for found in tests for name in found if not (ROOT / name).is_file()] == []
    known = {command.name for command in all_commands()}
    told = re.findall(r"`relayd ([a-z-]+(?: [a-z-]+)?)", "\n".join(rows))
    assert [name for name in told if not {name, name.split()[0]} & known] == []


def test_signatures_are_checked_as_the_page_says(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", text("promises.md"), re.M | re.S)
    signer = Signer(bytes(32))
    report = {"clean": True, "kinds": ["ü"]}
    said = Certificate(erasure="era_1", account="acct_1", cause="holder", asked_at="t",
                       erased_at="t", erased={"keys": 1, "calls": 2},
                       kept=(Kept("audit", 1, "t", "法"),))
    certificate = Signed(said, signer.public.hex(), signer.sign(signed_bytes(said)).hex())
    for data in (signed(report, signer.public, signer.sign(canonical(report))),
                 msgspec.json.encode(certificate)):
        assert _checked(program, data, tmp_path / "signed.json")
        changed = json.loads(data)
        changed["signature"] = signer.sign(b"").hex()
        assert not _checked(program, json.dumps(changed).encode(), tmp_path / "signed.json")


def _checked(program: str, data: bytes, path: Path) -> bool:
    path.write_bytes(data)
    made = subprocess.run([sys.executable, "-c", program, path], capture_output=True)
    return made.returncode == 0
