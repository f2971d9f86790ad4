"""The relay in a simulated world: what may go wrong does, in an order that a seed decides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from relayd.relay.meter import Meter, Taken
from relayd.relay.pool import Pool
from relayd.relay.upstream import UpstreamConnection
from tests.fakes.simworld import World

SEEDS = 120
REACHED = {"completed", "refused", "provider_error", "provider_truncated", "client_left",
           "interrupted"}


def test_nothing_is_lost_doubled_mixed_up_or_kept(tmp_path: Path) -> None:
    """Of each call one record that fits what both sides saw; of all calls nothing at rest."""
    faults: list[str] = []
    reached: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = World(seed, tmp_path / str(seed))
        faults += world.run()
        reached.update(record.outcome for record in world.records)
        reached["again"] += sum(record.attempts > 2 for record in world.records)
        reached["crashed"] += world.crashed
        reached["drained"] += world.drained
    assert faults == []
    # a world in which nothing happens proves nothing
    assert set(reached) >= REACHED
    assert min(reached[each] for each in (*REACHED, "again", "crashed", "drained")) >= 3
    assert reached["completed"] > SEEDS


def _twice(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Meter.take

    def taken(meter: Meter) -> Taken:
        found = take(meter)
        return found._replace(records=found.records * 2)

    monkeypatch.setattr(Meter, "take", taken)


def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "give_back", lambda pool, connection: None)


def _another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    received = UpstreamConnection.data_received
    monkeypatch.setattr(UpstreamConnection, "data_received", lambda connection, data: received(
        connection, data.replace(b"tag1z", b"tag2z")))


@pytest.mark.parametrize(("break_it", "told"), [
    (_twice, "has 2 records"), (_kept, "busy connections at rest"),
    (_another_s, "another call's bytes")], ids=["twice", "kept", "another's"])
def test_a_relay_that_is_broken_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_it: object, told: str
) -> None:
    assert callable(break_it)
    break_it(monkeypatch)
    faults = [fault for seed in range(6) for fault in World(seed, tmp_path / str(seed)).run()]
    assert any(told in fault for fault in faults), faults[:5]
