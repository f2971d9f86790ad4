"""The plot of a run: CPU per unit of work, as bars by peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

try:
    import matplotlib
    from matplotlib.figure import Figure
except ImportError:  # the extra "bench" is not installed: tables are all there is
    matplotlib = None  # type: ignore[assignment]

Column = tuple[str, Mapping[str, float]]
COLOURS: Final = {"nginx": "#4c9f70", "relayd": "#2f6db3", "relayd, audit": "#7fa8d6",
                  "plain aiohttp": "#b9b4ab"}
OTHERS: Final = "#d9a05b"
"""Other people's gateways."""


def draw(columns: Sequence[Column], path: Path) -> bool:
    """One panel a column, each with its own scale; False where matplotlib is absent."""
    if matplotlib is None or not columns:
        return False
    # the same figures give the same file
    matplotlib.rcParams["svg.hashsalt"] = "relayd"
    figure = Figure(figsize=(2.6 * len(columns), 3.2), layout="constrained")
    for axes, (title, values) in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns):
        drawn = axes.bar(range(len(values)), list(values.values()), width=0.7,
                         color=[COLOURS[peer] for peer in values])
        axes.bar_label(drawn, [f"{value:.{int(value < 100)}f}" for value in values.values()],
                       padding=2, fontsize=8)
        axes.set_xticks(range(len(values)), [peer.replace(" ", "\n") for peer in values],
                        fontsize=7)
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", labelsize=7)
        axes.margins(y=0.15)
    figure.supylabel("µs of CPU, least of the rounds", fontsize=8)
    figure.savefig(path, format="svg", metadata={"Date": None})
    return True


def draw_rows(columns: Sequence[Column], path: Path) -> bool:
    """One panel a column, a row a peer, logarithmic; False where matplotlib is absent."""
    if matplotlib is None or not any(values for _, values in columns):
        return False
    matplotlib.rcParams["svg.hashsalt"] = "relayd"
    figure = Figure(figsize=(4.6 * len(columns), 3.8), layout="constrained")
    for axes, (title, values) in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns):
        ranked = sorted(values.items(), key=lambda each: each[1], reverse=True)
        drawn = axes.barh(range(len(ranked)), [value for _, value in ranked], height=0.7,
                          color=[COLOURS.get(peer, OTHERS) for peer, _ in ranked])
        axes.bar_label(drawn, [f"{value:.{int(value < 100)}f}" for _, value in ranked],
                       padding=2, fontsize=8)
        axes.set_yticks(range(len(ranked)), [peer for peer, _ in ranked], fontsize=8)
        axes.set_xscale("log")
        axes.set_title(f"{title} (log scale)", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="x", labelsize=7)
        axes.margins(x=0.15)
    figure.savefig(path, format="svg", metadata={"Date": None})
    return True
