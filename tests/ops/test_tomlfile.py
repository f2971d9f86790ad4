"""Files that can be read, and the one fault of those that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.ops.configfile_fault import Fault
from relayd.ops.tomlfile import BYTES_MAX, file_text, parsed


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("é = 1\r\n".encode())
    assert file_text(tmp_path / "a.toml") == "é = 1\r\n"
    (tmp_path / "b.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert file_text(tmp_path / "b.toml") == "a = 1\n"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    found = file_text(tmp_path / "none", "Name it")
    assert isinstance(found, Fault) and "No such file" in found.problem
    assert found.remedy == "Name it"
    (tmp_path / "latin").write_bytes(b"a = 1\nb = '\xe9'\n")
    assert file_text(tmp_path / "latin") == Fault(
        "", 2, "the file is not UTF-8", "TOML is always UTF-8")
    (tmp_path / "large").write_bytes(b"#" * (BYTES_MAX + 1))
    found = file_text(tmp_path / "large")
    assert isinstance(found, Fault) and "larger" in found.problem


@pytest.mark.parametrize(("text", "line"), [
    ("a = 1\nb = = 2\n", 2), ("a = 1\nb = ", 2), ("a = [\n", 2), ("a = 1\na = 2\n", 2),
])
def test_what_is_not_toml(text: str, line: int) -> None:
    found = parsed(text)
    assert isinstance(found, Fault) and found.problem.startswith("this is not TOML: ")
    assert found.line == line


def test_values_and_depth() -> None:
    assert parsed("a = 1") == {"a": 1}
    for text in ("a = " + "[" * 20_000, "a = " + "9" * 5000):
        assert isinstance(parsed(text), Fault)
