"""`relayd usage --drift` and `--compare`: tables, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.core.test_bill import OPENAI_CSV
from tests.fakes.records import call_record
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


def test_drift(shell: Shell) -> None:
    fair = {"counted_input_tokens": 2000, "input_tokens": 2000, "output_tokens": 2000,
            "counted_output_tokens": 2000, "reasoning_output_tokens": 0,
            "audio_input_tokens": 0, "audio_output_tokens": 0}
    shell.post([call_record(**fair)])
    assert shell("usage", "--drift").code == 0
    shell.post([call_record(**{**fair, "output_tokens": 2300}, provider="greedy")])
    result = shell("usage", "--drift")
    assert result.code == 1
    assert [line.split()[0] for line in result.out.splitlines() if "SUSPICIOUS" in line] == [
        "greedy"]
    assert [line.split()[-6:] for line in result.out.splitlines() if "greedy" in line] == [
        ["1.0000", "2300", "2000", "1.1500", "exact", "SUSPICIOUS"]]
    rows = json.loads(shell("usage", "--drift", "--json").out)
    assert [(row["provider"], row["output_ratio"], row["suspicious"]) for row in rows] == [
        ("greedy", 1.15, True), ("openai", 1.0, False)]


def test_compare(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(OPENAI_CSV)
    shell.post([call_record(input_tokens=110, output_tokens=22, cache_read_input_tokens=40),
                *(call_record(input_tokens=0, output_tokens=0, cache_read_input_tokens=0)
                  for _ in range(3))])
    result = shell("usage", "--compare", str(file))
    assert (result.code, [line.split()[-1] for line in result.out.splitlines()]) == (
        0, ["VERDICT", *["ok"] * 4])
    shell.post([call_record()])
    assert shell("usage", "--compare", str(file)).code == 1
    assert shell("usage", "--compare", str(file), "--tolerance", "1").code == 0
    [row] = json.loads(shell("usage", "--compare", str(file), "--json").out)
    assert row["day"] == "2026-01-01" and "input_tokens" in row["differs"]
    [other] = json.loads(
        shell("usage", "--compare", str(file), "--provider", "b", "--json").out)
    assert other["recorded"]["calls"] == 0


def test_what_cannot_be_read(shell: Shell, tmp_path: Path) -> None:
    missing = shell("usage", "--compare", str(tmp_path / "none.csv"))
    assert missing.code == 2 and "cannot be read" in missing.err
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    unknown = shell("usage", "--compare", str(file))
    assert unknown.code == 2 and "columns: This is not a usage export" in unknown.err
    assert shell("usage", "--compare", str(file), "--tolerance", "7").code == 2
