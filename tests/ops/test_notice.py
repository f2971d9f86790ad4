"""Warnings that may come in floods."""

from __future__ import annotations

from relayd.ops.notice import KINDS_MAX, NOTICE_SECONDS, Notices


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, /, **fields: object) -> None:
        self.said.append((event, fields))


def test_the_first_of_a_kind_is_said_and_a_flood_once_a_minute() -> None:
    log, clock = Log(), [5.0]
    notices = Notices(log, lambda: clock[0])
    for _ in range(1000):
        notices.warn("unreachable", provider="a", reason="name")
    notices.warn("unreachable", provider="b", reason="name")
    assert log.said == [("unreachable", {"provider": "a", "reason": "name", "count": 1}),
                        ("unreachable", {"provider": "b", "reason": "name", "count": 1})]
    clock[0] += NOTICE_SECONDS
    notices.warn("unreachable", provider="a", reason="name")
    assert log.said[2:] == [("unreachable", {"provider": "a", "reason": "name", "count": 1000})]


def test_kinds_are_bounded() -> None:
    notices = Notices(Log(), lambda: 0.0)
    for number in range(3 * KINDS_MAX):
        notices.warn("x", reason=str(number))
    assert len(notices._kinds) <= KINDS_MAX
