"""Audit events: the closed table, what may be in an event, and the chain of hashes."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.audit import (
    ACTIONS, DETAILS_MAX, REASON_CHARS_MAX, START, AuditEvent, Detail, action_of, chained,
    check_details, check_reason, packed,
)
from relayd.core.errors import RelayError

EVENT = AuditEvent(1, 5, "acct_1", "owner,security", "console", "account.suspend", "acct_2",
                   b"sealed", '{"a":1}')
TEXTS = st.text(max_size=6)
EVENTS = st.builds(
    AuditEvent, st.integers(1, 99), st.integers(0, 99), st.none() | TEXTS, TEXTS,
    st.sampled_from(["console", "shell"]), TEXTS, st.none() | TEXTS,
    st.none() | st.binary(max_size=6), TEXTS)


def test_the_table_names_itself() -> None:
    assert all(name == action.name and action.meaning for name, action in ACTIONS.items())
    assert action_of("key.revoke").name == "key.revoke"
    with pytest.raises(AssertionError):
        action_of("key.eat")


def test_looks_need_a_reason_unless_their_row_says_otherwise() -> None:
    without = {name for name, row in ACTIONS.items() if row.look and not row.needs_reason}
    # what its holder wrote for somebody to read, relayd's own text, papers that are made for the
    # tax office, and the list of everybody on the machine itself
    assert without == {"accounts.list", "ticket.look", "mail.look", "invoice.look", "fapiao.look",
                       "fapiao.export"}


NEED_A_REASON = """account.terminate personal.look records.look network.look vault.look
refund.ask credit.grant credit.end invoice.void handover.bundle abuse.lift abuse.confirm
request.open request.approve request.refuse request.produce""".split()


def test_what_nobody_does_without_saying_why() -> None:
    assert {name for name, row in ACTIONS.items() if row.needs_reason} == set(NEED_A_REASON)


@pytest.mark.parametrize(("action", "reason", "code"), [
    ("personal.look", None, "reason_missing"), ("personal.look", " \n", "reason_missing"),
    ("key.revoke", "a\0b", "invalid_value"),
    ("key.revoke", "x" * (REASON_CHARS_MAX + 1), "invalid_value"),
])
def test_unfit_reasons(action: str, reason: str | None, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        check_reason(action_of(action), reason)
    assert caught.value.code == code


def test_fit_reasons() -> None:
    assert check_reason(action_of("key.revoke"), None) is None
    assert check_reason(action_of("key.revoke"), "x" * REASON_CHARS_MAX + "\n") is not None
    assert check_reason(action_of("key.revoke"), "停用\u3000一") == "停用\u3000一"
    assert check_reason(action_of("personal.look"), " Ticket 7:\nasked by mail ") == (
        "Ticket 7:\nasked by mail")
    assert check_reason(action_of("personal.look"), "A letter:\r\nplease") == "A letter:\nplease"


@pytest.mark.parametrize("details", [
    {"to": "ann@example.org"}, {"name": "Ann Example"}, {"Name": "x"}, {"a b": 1},
    {"key": "x" * 201}, {"name": "安"}, {f"a{n}": n for n in range(DETAILS_MAX + 1)},
])
def test_details_that_could_be_a_person(details: dict[str, Detail]) -> None:
    with pytest.raises(AssertionError):
        check_details(details)


def test_details_are_put_in_order() -> None:
    given_details: dict[str, Detail] = {
        "key": "key_01", "grace": 5, "until": "2026-01-01T00:00:00Z", "all": True, "app": None}
    assert list(check_details(given_details)) == ["all", "app", "grace", "key", "until"]


@given(EVENTS, EVENTS)
def test_no_two_events_are_the_same_bytes(one: AuditEvent, two: AuditEvent) -> None:
    assert (packed(one) == packed(two)) == (one == two)


@pytest.mark.parametrize("name", [field.name for field in fields(AuditEvent)])
def test_every_field_is_in_the_hash(name: str) -> None:
    value = getattr(EVENT, name)
    changed = {int: lambda: value + 1, bytes: lambda: value + b"x"}.get(
        type(value), lambda: value + "x")()
    assert chained(START, EVENT) != chained(START, replace(EVENT, **{name: changed}))


def test_a_chain_that_was_written_stays_what_it_is() -> None:
    assert packed(replace(EVENT, target=None)) == (
        b'relayd audit 1\ni1:1i1:5s6:acct_1s14:owner,securitys7:consoles15:account.suspendn0:'
        b'b6:sealeds7:{"a":1}')


def test_none_is_not_the_empty_text_nor_its_name() -> None:
    for text in ("", "None"):
        assert packed(replace(EVENT, actor=None)) != packed(replace(EVENT, actor=text))
    assert packed(replace(EVENT, reason=None)) != packed(replace(EVENT, reason=b""))


def test_the_hash_before_is_in_the_hash() -> None:
    assert chained(START, EVENT) != chained(bytes([1]) + START[1:], EVENT)
    assert len(chained(START, EVENT)) == len(START)


def test_a_reason_is_in_no_repr() -> None:
    assert "sealed" not in repr(EVENT)
