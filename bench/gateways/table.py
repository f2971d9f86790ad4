"""What is said of a run beside others: a table, who did not take part, whether relayd leads. Pure.

Law: relayd is judged against each gateway within the rounds; proxies that read no body are shown
as the floor, and not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench import sample
from bench.gateways.catalogue import BY_NAME, ENTRIES, Entry
from bench.peers import DIRECT, RELAYD
from bench.report import NOISY_CORES, number, table
from bench.result import Kept
from bench.sample import Sample, Spread

CPU: Final = (("call_us", "µs CPU per call"), ("event_us", "µs CPU per event"))
ADDED: Final = (
    ("call_p50_us", "adds, p50 µs"), ("call_p99_us", "adds, p99 µs"),
    ("first_byte_p50_us", "first byte later by, p50 µs"),
    ("event_p50_us", "event later by, p50 µs"),
)
KINDS: Final = {"relayd": "relayd", "gateway": "LLM gateway", "proxy": "proxy, reads no body"}


def text(kept: Kept) -> str:
    """The whole section: verdict, table, features, absentees, notes."""
    parts = []
    noise = max((each.figures.get("foreign_cores", 0.0) for each in kept.samples), default=0.0)
    if noise > NOISY_CORES:
        parts.append(f"**The machine was not quiet** (others used up to {noise:.1f} cores): these "
                     "figures decide nothing.")
    parts += [_verdict(kept.samples), _figures(kept), _features(kept)]
    if kept.skipped:
        parts.append("Did not take part:\n\n" + "\n".join(
            f"* {name}: {reason}" for name, reason in kept.skipped.items()))
    parts.append(_notes(kept))
    return "\n\n".join(part for part in parts if part)


def seen(samples: Sequence[Sample]) -> list[Entry]:
    """Who has figures, cheapest call first."""
    found = []
    for entry in ENTRIES:
        spread = sample.of_peer(samples, entry.name, "call_us")
        if spread is not None:
            found.append((spread.least, entry))
    return [entry for _, entry in sorted(found, key=lambda each: each[0])]


def least(samples: Sequence[Sample], figure: str) -> dict[str, float]:
    """The least of the rounds, by peer in the order of `seen`; for the plot."""
    found = {}
    for entry in seen(samples):
        spread = sample.of_peer(samples, entry.name, figure)
        if spread is not None:
            found[entry.name] = spread.least
    return found


def behind(samples: Sequence[Sample], figure: str) -> list[str]:
    """Gateways that took no more of `figure` than relayd, by the median of the rounds' ratios."""
    found = []
    for entry in seen(samples):
        spread = sample.ratio(samples, figure, RELAYD, entry.name)
        if entry.kind == "gateway" and spread is not None and spread.middle >= 1.0:
            found.append(f"{entry.name} ({number(spread.middle)} times)")
    return found


def _verdict(samples: Sequence[Sample]) -> str:
    if not {"relayd", "gateway"} <= {entry.kind for entry in seen(samples)}:
        return ""
    said = []
    for figure, title in CPU:
        others = behind(samples, figure)
        what = title.removeprefix("µs ")
        said.append(f"{what}: relayd takes less than every gateway here" if not others else
                    f"{what}: relayd takes more than {', '.join(others)}")
    return "; ".join(said) + "."


def _figures(kept: Kept) -> str:
    rows = []
    for entry in seen(kept.samples):
        name = f"**{entry.name}**" if entry.kind == "relayd" else entry.name
        row = [name, KINDS[entry.kind]]
        row += [_least(sample.of_peer(kept.samples, entry.name, figure)) for figure, _ in CPU]
        row += [_added(kept.samples, figure, entry.name) for figure, _ in ADDED]
        row.append(_middle(sample.of_peer(kept.samples, entry.name, "rss_mib")))
        rows.append(row)
    head = ("", "kind", *(title for _, title in CPU), *(title for _, title in ADDED), "MiB")
    return (f"One worker each. CPU: least (median) of the rounds; delays at "
            f"{number(kept.settings['per_second'])} calls a second, open loop, less the direct "
            "ones of the same round: median.\n\n" + table(head, rows))


def _least(spread: Spread | None) -> str:
    return "-" if spread is None else f"{number(spread.least)} ({number(spread.middle)})"


def _middle(spread: Spread | None) -> str:
    return "-" if spread is None else number(spread.middle)


def _added(samples: Sequence[Sample], figure: str, peer: str) -> str:
    spread = sample.added(samples, figure, peer, DIRECT)
    if spread is None and figure.startswith("call_"):
        capacity = sample.of_peer(samples, peer, "calls_per_second")
        return "-" if capacity is None else f"full at {number(capacity.middle)}/s"
    return _middle(spread)


def _features(kept: Kept) -> str:
    rows = [(entry.name, _version(entry, kept.machine), entry.does)
            for entry in seen(kept.samples)]
    lines = [("", "version", "what it does per call"), ("---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _version(entry: Entry, machine: Mapping[str, str]) -> str:
    if entry.kind == "relayd":
        return machine.get("commit", "")
    return entry.version or machine.get(entry.name, "") or machine.get("aiohttp", "")


def _notes(kept: Kept) -> str:
    gauge = sample.of_peer(kept.samples, DIRECT, "call_p50_us")
    direct = "" if gauge is None else f", direct p50 {number(gauge.middle)} µs"
    burn = [f"{name} {each.middle:.1%}" for name in BY_NAME
            if (each := sample.of_peer(kept.samples, name, "idle_share")) and each.middle > 0.001]
    idle = f" Cores burned idle (not in the figures): {', '.join(burn)}." if burn else ""
    machine = kept.machine
    return (f"Measured {kept.measured_at}, commit {machine.get('commit')}, {machine.get('cpu')}, "
            f"{machine.get('cores')} cores, Python {machine.get('python')}, "
            f"{kept.settings['rounds']} rounds{direct}.{idle}")
