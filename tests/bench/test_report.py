"""The report: what is measured is in it, what is missing is said, and README keeps its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import plot
from bench.peers import NGINX, PLAIN, RELAYD
from bench.report import BEGIN, END, README, fill, number, table, text
from bench.result import Kept, Outcome, read, write
from bench.sample import Sample


def kept(question: str, *samples: Sample, skipped: dict[str, str] | None = None) -> Kept:
    return Kept(question, "2026-01-01T00:00:00Z", {"commit": "abc1234", "cpu": "A CPU"},
                {"name": "full"}, skipped or {}, list(samples))


def json_question(relayd_us: float) -> Kept:
    return kept("json", *(
        Sample(peer, 0, {"call_us": value, "foreign_cores": 0.0})
        for peer, value in ((NGINX, 15.0), (PLAIN, 200.0), (RELAYD, relayd_us))))


@pytest.mark.parametrize(("value", "shown"), [
    (0.123, "0.12"), (3.0, "3.00"), (12.34, "12.3"), (-12.34, "-12.3"), (123.4, "123"),
])
def test_numbers_have_three_figures(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


@pytest.mark.parametrize(("relayd_us", "verdicts"), [
    (30.0, ("yes", "yes")), (48.0, ("**no**", "yes")), (60.0, ("**no**", "**no**"))])
def test_bars_tell_whether_they_are_met(relayd_us: float, verdicts: tuple[str, ...]) -> None:
    rows = [line for line in text({"json": json_question(relayd_us)}).splitlines()
            if line.startswith("| CPU per JSON call, 16") or "plain aiohttp relay" in line]
    assert tuple(row.split(" | ")[-1].removesuffix(" |") for row in rows[:2]) == verdicts


def test_what_is_missing_is_said() -> None:
    found = text({"sse": kept("sse", Sample(RELAYD, 0, {"event_us": 20.0, "foreign_cores": 1.4}),
                              skipped={NGINX: "not installed"})})
    assert "nginx skipped: not installed" in found
    assert "others used up to 1.4 cores meanwhile: noise" in found
    assert found.startswith("**The machine was not quiet**")
    assert "not measured" in found
    assert "abc1234" in found and "A CPU" in found
    assert text({}).endswith("Nothing was measured yet.")


def test_every_kind_of_table() -> None:
    latency = kept("latency", *(
        Sample(peer, 0, {"call_p50_us": p50, "call_p99_us": 5 * p50, "paced_call_us": 40.0})
        for peer, p50 in (("direct", 100.0), (RELAYD, 220.0))))
    memory = kept("memory", Sample(RELAYD, 0, {"stream_kib": 30.5, "before_stream_mib": 70.0}))
    idle = kept("idle", Sample(RELAYD, 0, {"idle_ms_per_s": 1.25, "wakeups_per_s": 9.0}))
    found = text({"latency": latency, "memory": memory, "idle": idle})
    assert "| relayd adds | 120 (120 to 120) | 600 (600 to 600) |" in found
    assert "| relayd | - | 30.5 | 70.0 |" in found
    assert "relayd 40.0 (40.0) µs" in found
    assert "| relayd | 1.25 (1.25) | 9.00 (9.00) |" in found


def test_figures_replace_figures_only() -> None:
    once = fill(f"# Head\n\n{BEGIN}\nold\n{END}\n\ntail\n", "| new |")
    assert once == f"# Head\n\n{BEGIN}\n\n| new |\n\n{END}\n\ntail\n"
    assert fill(once, "| new |") == once
    with pytest.raises(ValueError, match="markers"):
        fill("no markers", "x")


def test_the_readme_has_its_markers() -> None:
    assert "| new |" in fill(README.read_text("utf-8"), "| new |")


def test_an_outcome_is_read_as_it_was_written(tmp_path: Path) -> None:
    sample = Sample(RELAYD, 2, {"call_us": 31.25, "p50_us": float("nan")})
    path = write(Outcome("json", [sample], {NGINX: "left out"}), tmp_path, {"name": "smoke"})
    again = read(path)
    assert again.samples == [Sample(RELAYD, 2, {"call_us": 31.25})]
    assert again.skipped == {NGINX: "left out"} and again.settings == {"name": "smoke"}
    assert again.machine["cores"].isdigit()


def test_the_plot_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    columns = [("JSON call", {NGINX: 15.0, RELAYD: 40.0}), ("SSE event", {RELAYD: 20.0})]
    if not plot.draw(columns, tmp_path / "a.svg"):
        pytest.skip("matplotlib is not installed")
    plot.draw(columns, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
