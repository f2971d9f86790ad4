"""The text exposition format of Prometheus, version 0.0.4, and the histogram written in it.

Law: label values come from closed lists. Written here and not by prometheus_client because a
scrape runs on the event loop that carries calls: 1.2 us a series instead of 14 (and the numbers
live in plain lists, which the relay path can add to in a tenth of a microsecond). The client
library's parser is the tests' oracle.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labels(names: Sequence[str], values: Sequence[str]) -> str:
    """`a="x",b="y"`, without braces; values are escaped."""
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"'
                    for name, value in zip(names, values, strict=True))


def number(value: float) -> str:
    """Whole numbers without a point, whatever their type."""
    return str(int(value)) if value == int(value) else repr(float(value))


def family(
    name: str, kind: Literal["counter", "gauge"], about: str,
    samples: Iterable[tuple[str, float]],
) -> str:
    """One family; a sample is its labels (may be empty) and its value."""
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{{{where}}} {number(value)}" if where else f"{name} {number(value)}"
              for where, value in samples]
    return "\n".join(lines) + "\n"


def pairs(
    name: str, about: str, names: tuple[str, ...], counts: Mapping[tuple[str, ...], int],
) -> str:
    """One family of counters by their labels' values, sorted."""
    return family(name, "counter", about,
                  [(labels(names, values), count) for values, count in sorted(counts.items())])


class Histogram:
    """Counts of observed values by upper bound (inclusive), and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts one value, in the unit of the family."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_all(self, values: Iterable[float]) -> None:
        """As `observe` of each: of many values the place of each bound is looked for."""
        ordered = sorted(values)
        self.total += sum(ordered)
        counts, done = self.counts, 0
        for place, bound in enumerate(self.bounds):
            if done == len(ordered):
                return
            upto = bisect_right(ordered, bound, done)
            counts[place] += upto - done
            done = upto
        counts[-1] += len(ordered) - done

    @property
    def seen(self) -> bool:
        """Whether anything was observed."""
        return any(self.counts)


def histograms(
    name: str, about: str, samples: Iterable[tuple[str, Histogram]],
) -> str:
    """One family of histograms; a sample is its labels (may be empty) and its counts."""
    lines = [f"# HELP {name} {about}", f"# TYPE {name} histogram"]
    for where, histogram in samples:
        prefix = f"{name}_bucket{{{where}{',' if where else ''}le=\""
        count = 0
        for bound, seen in zip(histogram.bounds, histogram.counts):
            count += seen
            lines.append(f'{prefix}{number(bound)}"}} {count}')
        count += histogram.counts[-1]
        braces = f"{{{where}}}" if where else ""
        lines.append(f'{prefix}+Inf"}} {count}')
        lines.append(f"{name}_sum{braces} {number(histogram.total)}")
        lines.append(f"{name}_count{braces} {count}")
    return "\n".join(lines) + "\n"
