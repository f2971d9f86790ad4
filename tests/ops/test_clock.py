"""The clock gives wall time in milliseconds and a time that never goes back."""

import time

from relayd.ops import clock


def test_unix_ms_is_the_wall_clock() -> None:
    assert abs(clock.unix_ms() - time.time() * 1000) < 1000


def test_monotonic_never_goes_back() -> None:
    times = [clock.monotonic() for _ in range(1000)]
    assert times == sorted(times)
    assert clock.monotonic_ns() <= clock.monotonic_ns()
