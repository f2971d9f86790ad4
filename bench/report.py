"""The report of a run: markdown for people, figures in bench/README.md. Pure but `publish`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import bars, plot, sample
from bench.bars import Verdict
from bench.peers import AUDIT, BUSY, DIRECT, NGINX, PLAIN, RELAYD
from bench.result import Kept
from bench.sample import Sample, Spread

HERE: Final = Path(__file__).resolve().parent
README: Final = HERE / "README.md"
PLOT: Final = HERE / "report.svg"
BEGIN: Final = "<!-- figures: written by make bench -->"
END: Final = "<!-- end of figures -->"
NOISY_CORES: Final = 0.25

CPU_COLUMNS: Final = (
    ("json", "call_us", "JSON call"), ("sse", "event_us", "SSE event"),
    ("agent", "call_us", "80 KB agent call"), ("tls", "call_us", "JSON call, TLS"),
    ("tls", "event_us", "SSE event, TLS"),
)
LATENCY_COLUMNS: Final = (
    ("call_p50_us", "call p50"), ("call_p99_us", "call p99"), ("call_p999_us", "call p99.9"),
    ("first_byte_p50_us", "stream's first byte p50"), ("event_p50_us", "event p50"),
    ("event_p99_us", "event p99"),
)
Samples = Mapping[str, Sequence[Sample]]


def text(kept: Mapping[str, Kept]) -> str:
    """The whole report; what was not measured is left out or said."""
    samples = {name: each.samples for name, each in kept.items()}
    noise = [each for each in map(_noise, kept.values()) if each > NOISY_CORES]
    parts = [f"**The machine was not quiet** (others used up to {max(noise):.1f} cores): these "
             "figures decide nothing."] if noise else []
    parts.append(_bars(bars.judge_all(samples)))
    if any(name in samples for name, _, _ in CPU_COLUMNS):
        parts.append(_cpu(samples))
    if "latency" in samples:
        parts.append(_latency(samples["latency"]))
    if "memory" in samples:
        parts.append(_memory(samples["memory"]))
    if "idle" in samples:
        parts.append(_idle(samples["idle"]))
    parts.append(_notes(kept))
    return "\n\n".join(parts)


def fill(readme: str, figures: str, begin: str = BEGIN, end: str = END) -> str:
    """`readme` with `figures` between its markers; raises ValueError where they are missing."""
    before, found, rest = readme.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError("bench/README.md has lost the markers of its figures")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def publish(kept: Mapping[str, Kept]) -> None:
    """Writes the figures into README.md and draws the plot (without matplotlib: says so)."""
    README.write_text(fill(README.read_text("utf-8"), text(kept)), "utf-8")
    columns = [(title, _bars_of(kept, question, figure))
               for question, figure, title in CPU_COLUMNS if question in kept]
    if not plot.draw(columns, PLOT):
        print("No plot: matplotlib is not installed (pip install -e '.[bench]').")


def _bars_of(kept: Mapping[str, Kept], question: str, figure: str) -> dict[str, float]:
    found = {}
    for peer in (NGINX, RELAYD, AUDIT, PLAIN):
        spread = sample.of_peer(kept[question].samples, peer, figure)
        if spread is not None:
            found[peer] = spread.least
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; all but the first column are right-aligned."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Three significant figures, as a person writes them."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _cell(spread: Spread | None) -> str:
    return "-" if spread is None else f"{number(spread.least)} ({number(spread.middle)})"


def _range(spread: Spread | None) -> str:
    """Of differences the least says little: it may be below zero where a round was noisy."""
    if spread is None:
        return "-"
    return f"{number(spread.middle)} ({number(spread.least)} to {number(spread.most)})"


def _bars(verdicts: Sequence[Verdict]) -> str:
    rows = []
    for each in verdicts:
        bar, found = each.bar, each.found
        unit = "" if bar.unit == "x" else f" {bar.unit}"
        aim = "" if bar.aim is None else f" (aim {number(bar.aim)})"
        rows.append((
            bar.text, f"{_sign(bar)} {number(bar.limit)}{unit}{aim}",
            "not measured" if found is None else f"{number(found.middle)}{unit}",
            "-" if found is None else f"{number(found.least)} to {number(found.most)}",
            {True: "yes", False: "**no**", None: "-"}[each.met],
        ))
    return table(("bar", "limit", "found (median)", "rounds", "met"), rows)


def _sign(bar: bars.Bar) -> str:
    return "<" if bar.kind == "below" else "<="


def _cpu(samples: Samples) -> str:
    columns = [each for each in CPU_COLUMNS if each[0] in samples]
    rows = [(peer, *(_cell(sample.of_peer(samples[question], peer, figure))
                     for question, figure, _ in columns))
            for peer in (NGINX, RELAYD, AUDIT, PLAIN)]
    seen = [row for row in rows if any(cell != "-" for cell in row[1:])]
    return ("µs of CPU of the relay's processes, least (median) of the rounds:\n\n"
            + table(("", *(title for _, _, title in columns)), seen))


def _latency(samples: Sequence[Sample]) -> str:
    rows = [(DIRECT, *(_range(sample.of_peer(samples, DIRECT, figure))
                       for figure, _ in LATENCY_COLUMNS))]
    for peer in (NGINX, RELAYD, BUSY, PLAIN):
        added = [_range(sample.added(samples, figure, peer, DIRECT))
                 for figure, _ in LATENCY_COLUMNS]
        if any(cell != "-" for cell in added):
            rows.append((f"{peer} adds", *added))
    paced = [f"{peer} {_cell(found)}" for peer in (NGINX, RELAYD, BUSY, PLAIN)
             if (found := sample.of_peer(samples, peer, "paced_call_us")) is not None]
    return ("µs from the intended moment, median (least to most) of the rounds, open loop:\n\n"
            + table(("", *(title for _, title in LATENCY_COLUMNS)), rows)
            + f"\n\nCPU per call at this rate, where each call wakes the relay, least (median): "
              f"{'; '.join(paced)} µs.")


def _memory(samples: Sequence[Sample]) -> str:
    rows = []
    for peer in (NGINX, RELAYD, PLAIN):
        found = [sample.of_peer(samples, peer, figure)
                 for figure in ("connection_kib", "stream_kib", "before_stream_mib")]
        if any(found):
            rows.append((peer, *("-" if each is None else number(each.middle) for each in found)))
    return table(("", "KiB per idle connection", "KiB per open stream", "MiB before"), rows)


def _idle(samples: Sequence[Sample]) -> str:
    rows = [(peer, *(_cell(sample.of_peer(samples, peer, figure))
                     for figure in ("idle_ms_per_s", "wakeups_per_s")))
            for peer in (NGINX, RELAYD, PLAIN)]
    return ("Without a call, its clients connected, least (median) of the rounds:\n\n"
            + table(("", "ms of CPU per second", "wake-ups per second"),
                    [row for row in rows if row[1] != "-"]))


def _noise(kept: Kept) -> float:
    """Cores that others used in the worst round."""
    return max((each.figures.get("foreign_cores", 0.0) for each in kept.samples), default=0.0)


def _notes(kept: Mapping[str, Kept]) -> str:
    lines = []
    for name, each in kept.items():
        skipped = [f"{peer} skipped: {reason}" for peer, reason in each.skipped.items()]
        if _noise(each) > NOISY_CORES:
            skipped.append(f"others used up to {_noise(each):.1f} cores meanwhile: noise")
        gauge = sample.of_peer(each.samples, DIRECT, "p50_us")
        quiet = "" if gauge is None else f", direct round trip {_cell(gauge)} µs"
        said = "; ".join(skipped)
        lines.append(f"* {name}: {each.measured_at}, commit {each.machine['commit']}, "
                     f"{each.settings['name']} settings{quiet}{'; ' if said else ''}{said}")
    for each in kept.values():
        versions = ", ".join(f"{k} {v}" for k, v in each.machine.items() if k != "commit")
        return "\n".join((*lines, f"* machine: {versions}"))
    return "Nothing was measured yet."
