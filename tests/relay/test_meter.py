"""The meter: what goes in comes out once; at its bound records are dropped and counted."""

from relayd.relay.meter import Meter
from tests.fakes.records import call_record


def test_what_is_appended_is_taken_once() -> None:
    meter = Meter()
    first, second = call_record(id="1"), call_record(id="2")
    meter.append(first)
    meter.append(second)
    assert len(meter) == 2
    assert meter.take() == [first, second]
    assert meter.take() == []


def test_what_is_given_back_comes_first() -> None:
    meter = Meter()
    old, new = call_record(id="1"), call_record(id="2")
    meter.append(old)
    taken = meter.take()
    meter.append(new)
    meter.give_back(taken)
    assert meter.take() == [old, new]


def test_the_bound_counts_what_it_drops() -> None:
    meter = Meter(records_max=2)
    for number in range(3):
        meter.append(call_record(id=str(number)))
    assert (len(meter), meter.dropped) == (2, 1)
    taken = meter.take()
    meter.append(call_record(id="9"))
    meter.give_back(taken)
    assert (len(meter), meter.dropped) == (2, 2)
