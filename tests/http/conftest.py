"""Cases are played side by side once per module; each test then reads its own finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.daemon import own_loop
from tests.http.case import Case
from tests.http.play import Findings, Play, play_all

LANES = 16
Findall = Callable[[Play], Findings]


@pytest.fixture(scope="module")
def play_chosen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Findall:
    """Plays every case that pytest has chosen from the module."""
    items = [i for i in request.session.items if i.fspath == request.node.fspath]
    cases = [i.callspec.params["case"] for i in items  # type: ignore[attr-defined]
             if "case" in getattr(getattr(i, "callspec", None), "params", {})]
    directory: Path = tmp_path_factory.mktemp("lanes")

    def work(play: Play) -> Findings:
        chosen: list[Case] = list({case.id: case for case in cases}.values())
        with own_loop() as run:
            return run(play_all(directory, chosen, play, min(LANES, len(chosen))))

    return work
