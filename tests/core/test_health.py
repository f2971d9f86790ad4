"""Health: the table and its complement, circuits, shares, credentials, latency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.health import (
    COOL_SECONDS, COOL_SECONDS_MAX, MOVES, REST_SECONDS, REST_SECONDS_MAX, SHARE_FAILURES_MIN,
    SHARE_MAX, SHARE_SECONDS, TRIP_FAILURES, Circuit, Credentials, Event, Health, Latency, Level,
    State, advance,
)


def opened(hard: bool = True, now: float = 100.0) -> Circuit:
    circuit = Circuit()
    for _ in range(TRIP_FAILURES):
        circuit.failed(now, hard)
    return circuit


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_the_table_and_its_complement(state: State, event: Event) -> None:
    if event in MOVES[state]:
        assert advance(state, event) is MOVES[state][event]
    else:
        with pytest.raises(AssertionError):
            advance(state, event)


def test_a_circuit_opens_after_failures_in_a_row() -> None:
    circuit = Circuit()
    for _ in range(3):
        for _ in range(TRIP_FAILURES - 1):
            circuit.failed(100.0, True)
        assert circuit.state is State.HEALTHY and circuit.troubled
        circuit.answered()
        assert not circuit.troubled
    assert opened().state is State.COOLING


@pytest.mark.parametrize(("hard", "level"), [(True, Level.OUT), (False, Level.LAST)])
def test_what_cannot_be_reached_is_left_out_and_the_rest_kept_for_last(
    hard: bool, level: Level
) -> None:
    circuit = opened(hard)
    assert circuit.level(100.0) is level
    assert circuit.wait(100.0) == COOL_SECONDS


def test_one_trial_at_a_time_when_the_cooling_has_passed() -> None:
    circuit = opened()
    later = 100.0 + COOL_SECONDS
    assert not circuit.begin(later - 0.01)
    assert circuit.level(later) < Level.LAST
    assert circuit.begin(later) and circuit.on_trial
    assert circuit.level(later) is Level.OUT and not circuit.begin(later)
    circuit.gave_up()
    assert circuit.begin(later)
    circuit.answered()
    assert circuit.state is State.HEALTHY and not circuit.begin(later)
    assert circuit.wait(100.0) == 0.0  # whatever it had to wait for
    # its failures are remembered for a moment all the same
    assert circuit.level(later) is Level.STRAINED
    assert circuit.level(later + 2 * SHARE_SECONDS) is Level.READY


def test_cooling_doubles_up_to_a_bound_while_trials_fail() -> None:
    circuit, now, waits = opened(), 100.0, []
    for _ in range(9):
        waits.append(circuit.wait(now))
        now += waits[-1]
        assert circuit.begin(now)
        circuit.failed(now, True)
        assert circuit.state is State.DOWN
    assert waits == [min(COOL_SECONDS * 2 ** n, COOL_SECONDS_MAX) for n in range(9)]
    circuit.answered()
    for _ in range(TRIP_FAILURES):
        circuit.failed(now, True)
    assert circuit.wait(now) == COOL_SECONDS


def test_failures_of_calls_that_began_before_it_opened_say_nothing_new() -> None:
    circuit = opened()
    for _ in range(50):
        circuit.failed(100.5, True)
    assert circuit.state is State.COOLING and circuit.wait(100.5) == COOL_SECONDS - 0.5


def test_an_answer_of_a_call_that_began_before_it_opened_closes_it_at_once() -> None:
    circuit = opened()
    circuit.answered()
    assert circuit.wait(100.0) == 0.0 and circuit.level(100.0) is Level.STRAINED


def test_good_answers_of_the_window_before_count() -> None:
    circuit = Circuit()
    circuit.failed(1000.0, False)
    circuit.good += 100
    for _ in range(SHARE_FAILURES_MIN):
        circuit.failed(1000.0 + SHARE_SECONDS, False)
        circuit.answered()
    assert circuit.level(1000.0 + SHARE_SECONDS) is Level.READY


def test_a_share_of_failures_strains() -> None:
    circuit = Circuit()
    now = 1000.0
    for n in range(200):
        circuit.answered()
        if n % 20 == 0:
            circuit.failed(now, False)  # 1 in 21
    assert circuit.level(now) is Level.READY
    for _ in range(20):
        circuit.answered()
        circuit.failed(now, False)
    assert circuit.level(now) is Level.STRAINED
    # however often it is asked: every call asks
    for seconds in (0.0, 0.5 * SHARE_SECONDS, SHARE_SECONDS, SHARE_SECONDS, 1.9 * SHARE_SECONDS):
        assert circuit.level(now + seconds) is Level.STRAINED
    assert circuit.level(now + 2 * SHARE_SECONDS) is Level.READY


@given(st.lists(st.booleans(), max_size=300))
def test_strained_is_exactly_a_share_over_the_bound(results: list[bool]) -> None:
    circuit = Circuit()
    for good in results:
        if good:
            circuit.answered()
        else:
            circuit.failed(7.0, False)
            circuit.answered()
            circuit.good -= 1
    bad = results.count(False)
    expected = bad >= SHARE_FAILURES_MIN and bad > SHARE_MAX * len(results)
    assert (circuit.level(7.0) is Level.STRAINED) is expected


@given(st.lists(st.tuples(st.sampled_from(("good", "soft", "hard", "begin", "leave")),
                          st.floats(0, 30)), max_size=100))
def test_a_circuit_never_sticks(steps: list[tuple[str, float]]) -> None:
    """Whatever happened: after the longest cooling a trial can begin, and an answer closes it."""
    circuit, now, trials = Circuit(), 0.0, 0
    for what, seconds in steps:
        now += seconds
        if what == "begin":
            trials += circuit.begin(now)
        elif what == "leave":
            circuit.gave_up()
            trials = 0
        elif what == "good":
            circuit.answered()
            trials = 0
        else:
            circuit.failed(now, what == "hard")
            trials = int(circuit.on_trial)
        assert trials <= 1
        assert circuit.troubled is (circuit.streak > 0 or circuit.state is not State.HEALTHY)
    circuit.gave_up()
    now += COOL_SECONDS_MAX
    if circuit.state is not State.HEALTHY:
        assert circuit.begin(now)
        circuit.answered()
    assert circuit.state is State.HEALTHY and not circuit.on_trial


def test_a_peak_counts_at_once_and_fades() -> None:
    latency = Latency()
    latency.observe(0.0, 1.0)
    latency.observe(0.1, 3.0)
    assert latency.seconds == 3.0
    latency.observe(0.2, 1.0)
    assert 2.9 < latency.seconds < 3.0
    latency.observe(100.0, 1.0)
    assert 1.0 <= latency.seconds < 1.01
    # and who is not asked any more is asked again some day
    assert latency.expected(100.0) == latency.seconds
    assert latency.expected(130.0) < 0.06 < latency.expected(110.0) < 0.4


def test_credentials_take_turns_and_rest_by_themselves() -> None:
    three = Credentials(3)
    assert [three.take(1.0) for _ in range(4)] == [0, 1, 2, 0]
    three.rest(1, 1.0, None)
    assert [three.take(1.0) for _ in range(3)] == [2, 0, 2]
    assert (three.ready(1.0), three.level(1.0), len(three)) == (2, Level.READY, 3)
    assert 1 in [three.take(1.0 + REST_SECONDS) for _ in range(2)]
    for turn in range(3):
        three.rest(turn, 10.0, 5.0 + turn)
    assert three.level(10.0) is Level.LAST and three.wait(10.0) == 5.0
    assert three.take(10.0) == 0  # the first that is rested


def test_a_credential_that_is_refused_again_rests_longer() -> None:
    one = Credentials(1)
    for n in range(3):
        one.rest(0, 0.0, None)
        assert one.wait(0.0) == REST_SECONDS * 2 ** n
    one.answered(0)
    assert Credentials(0).take(0.0) == 0 and Credentials(0).level(0.0) is Level.READY
    one.rest(0, 0.0, 10_000.0)
    assert one.wait(0.0) == REST_SECONDS_MAX


def test_what_has_little_left_of_its_limit_comes_after_the_others() -> None:
    two = Credentials(2)
    two.spare(0, 1.0, 10.0)
    assert [two.take(1.0) for _ in range(2)] == [1, 1] and two.level(1.0) is Level.READY
    two.spare(1, 1.0, 10.0)
    assert two.level(1.0) is Level.STRAINED
    assert two.level(11.0) is Level.READY
    two.rest(0, 1.0, 60.0)
    assert two.level(1.0) is Level.STRAINED and two.take(1.0) == 1


def test_health_is_the_worst_of_its_parts() -> None:
    reach = opened()
    health, other = Health(reach, 1), Health(reach, 1)
    assert health.state(100.0) is other.state(100.0) is State.COOLING
    assert health.level(100.0) is Level.OUT and health.wait(100.0) == COOL_SECONDS
    assert health.begin(101.0) == (reach,) and other.begin(101.0) == ()
    health.answered()
    assert other.state(101.0) is State.HEALTHY and not other.circuit.troubled
    other.credentials.rest(0, 101.0, 5.0)
    assert other.state(101.0) is State.COOLING and health.state(101.0) is State.HEALTHY
    for _ in range(TRIP_FAILURES + 1):
        health.circuit.failed(100.0, False)
        health.circuit.until = 0.0
    assert health.state(101.0) is State.DOWN
    health.answered()
    assert health.circuit.state is State.HEALTHY
    assert Health(Circuit(), 0).credentials.wait(5.0) == 0.0
