"""The command on retention."""

from __future__ import annotations

from relayd.core.retention import CATEGORIES
from tests.fakes.records import START_MS, call_record
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


def test_R1_the_table_and_its_reasons(shell: Shell) -> None:
    found = shell.json("retention")
    assert [each["category"] for each in found] == [each.name for each in CATEGORIES]
    assert all(each["basis"] and each["meaning"] for each in found)
    shown = shell("retention").out
    assert "network_records" in shown and "190 days" in shown and "184 days" in shown


def test_the_configuration_s_terms_and_a_sweep(shell: Shell) -> None:
    shell.config.write_text(
        shell.config.read_text() + "[retention]\nticket_days = 7\ncall_records_days = 184\n")
    shell.post([call_record(started_at_ms=START_MS - 400 * 86_400_000)])
    assert not [each for each in shell.json("retention") if each["last_sweep"]]
    found = {each["category"]: each for each in shell.json("retention", "--sweep")}
    assert (found["tickets"]["term"], found["call_records"]["term"]) == (7, 184)
    assert found["call_records"]["last_sweep"]["rows"] == 1
    assert "last_sweep" in found["tickets"]
    assert "2" in shell("retention").out


def test_R1_a_term_below_its_floor_is_refused(shell: Shell) -> None:
    shell.config.write_text(shell.config.read_text() + "[retention]\nsign_in_days = 30\n")
    result = shell("retention")
    assert result.code == 2 and "184" in result.err and "Cybersecurity Law" in result.err
