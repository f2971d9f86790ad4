"""The conversations of an account: found again, told apart, bounded."""

from __future__ import annotations

import pytest

from relayd.wire import body
from relayd.wire.known import Known
from relayd.wire.layouts import BUCKET_MAX, OPENING_BYTES, TRIES_MAX, VAIN_MAX, Layouts
from tests.wire.test_known import POLICY, known
from tests.wire.test_layout import claude, once, runs, said


@pytest.fixture(autouse=True)
def _short_bodies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SPLIT_BYTES_MIN", 0)


def test_conversations_of_one_opening_are_told_apart_and_bounded() -> None:
    compared = 0

    def mac(view: memoryview) -> int:
        nonlocal compared
        compared += 1
        return hash(bytes(view))

    memory = Known(POLICY, 254, mac=mac)
    opening = {"role": "user", "content": "the same " * OPENING_BYTES}
    bodies = [claude([opening, said(number)]) for number in range(3 * BUCKET_MAX)]
    for raw in bodies:
        once(raw, memory)
        once(raw, memory)
    assert 0 < len(memory.layouts) <= BUCKET_MAX
    for raw in bodies:
        compared = 0
        memory.layouts.find("messages", raw)
        assert compared <= 2 * TRIES_MAX


def test_conversations_that_began_alike_each_have_their_own() -> None:
    """A system prompt that many conversations share, which go on in turns."""
    memory = known()
    opening = [{"role": "user", "content": "the same " * OPENING_BYTES}, said(0)]
    for turn in range(12):
        for branch in range(8):
            raw = claude([*opening, *[said(100 * branch + number, mark=number > 2 * turn - 2)
                                      for number in range(1, 2 * turn + 2)]], turn)
            once(raw, memory)
            if turn > 6:
                assert runs(raw, memory) >= 2 * turn + 2 - 8
    assert len(memory.layouts) <= 8 + 3


def test_memory_is_bounded_and_who_went_on_last_stays() -> None:
    memory = Known(POLICY, 254, 128 * 1024)
    bodies = [claude([{"role": "user", "content": f"{number} " * 200}, said(number)])
              for number in range(100)]
    for raw in bodies:
        for _ in range(3):
            once(raw, memory)
    layouts = memory.layouts
    kept = sum(layout.cost for bucket in layouts._buckets.values() for layout in bucket)
    assert kept == layouts._bytes <= layouts._bytes_max
    assert layouts.find("messages", bodies[-1]) is not None
    assert layouts.find("messages", bodies[0]) is None


def test_a_layout_of_very_many_pieces_is_not_kept() -> None:
    memory = Known(POLICY, 254, 16 * 1024)
    raw = claude([{"content": [{"text": "x", "type": "text"}] * 40, "role": "user"}] * 9)
    for _ in range(3):
        once(raw, memory)
    assert len(memory.layouts) == 0


def test_layouts_that_are_not_used_are_made_seldom() -> None:
    layouts = Layouts(hash, 1 << 20)
    assert [layouts._due() for _ in range(VAIN_MAX)] == [True] * VAIN_MAX
    assert sum(layouts._due() for _ in range(10 * VAIN_MAX)) == 10


def test_another_policy_or_endpoint_has_its_own() -> None:
    memory = known()
    raw = claude([said(0), said(1)])
    for _ in range(3):
        once(raw, memory)
    assert memory.layouts.find("messages", raw) is not None
    assert memory.layouts.find("count_tokens", raw) is None
    once(raw, memory, "count_tokens")
