"""Warnings that may come in floods."""

from __future__ import annotations

from relayd.ops.notice import KINDS_MAX, NOTICE_SECONDS, Lasting, Notices, Pace


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, /, **fields: object) -> None:
        self.said.append((event, fields))

    def error(self, event: str, /, **fields: object) -> None:
        self.said.append((event.upper(), fields))


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
    pace = Pace(lambda: 0.0)
    for number in range(3 * KINDS_MAX):
        assert pace.due(str(number)) == 1
    assert len(pace._kinds) <= KINDS_MAX


def test_several_at_once_count_as_many() -> None:
    log, clock = Log(), [0.0]
    notices = Notices(log, lambda: clock[0])
    for times in (20, 3):
        notices.warn("mail", times, reason="unreachable")
    clock[0] = NOTICE_SECONDS
    notices.warn("mail", 4, reason="unreachable")
    assert [fields["count"] for _, fields in log.said] == [20, 7]


def test_a_fault_that_lasts_is_said_as_it_begins_once_a_minute_and_as_it_ends() -> None:
    log, clock = Log(), [0.0]
    fault = Lasting(log, "stuck", "well", now=lambda: clock[0])
    fault.ended(records=0)
    for second in range(150):
        clock[0] = float(second)
        fault.again(errno=second)
    fault.ended(records=7)
    fault.ended(records=8)
    assert log.said == [("STUCK", {"errno": 0, "count": 1}), ("STUCK", {"errno": 60, "count": 60}),
                        ("STUCK", {"errno": 120, "count": 60}), ("well", {"records": 7})]


def test_one_that_comes_and_goes_is_said_no_more_often() -> None:
    """And what was said last is true."""
    log, clock = Log(), [0.0]
    fault = Lasting(log, "stuck", "well", level="warning", now=lambda: clock[0])
    for second in range(60):
        clock[0] = float(second)
        fault.again()
        fault.ended()
    assert [event for event, _ in log.said] == ["stuck", "well"]
    clock[0] = 60.0
    fault.again()
    assert log.said[2:] == [("stuck", {"count": 60})]
    quiet = Lasting(log, "one", now=lambda: clock[0])
    quiet.again()
    quiet.ended()
    assert log.said[3:] == [("ONE", {"count": 1})]
