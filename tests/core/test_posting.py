"""Transfers sum to zero, whatever they are built from; nothing else becomes one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.money import AMOUNT_MAX, NANO
from relayd.core.posting import (
    BALANCE_NANO_MAX, LEDGER_KINDS, NEVER_BELOW, SIDES, TRANSFER_NANO_MAX, Entry, LedgerAccount,
    Transfer, TransferKind, charge, check, check_balance, folded, move,
)

AMOUNTS = st.integers(1, TRANSFER_NANO_MAX)
PAYER = LedgerAccount("balance", "acct_1", "CNY")
EARNED = LedgerAccount("revenue", "", "CNY")


@given(st.sampled_from(sorted(SIDES)), AMOUNTS)
def test_a_move_takes_what_it_gives(kind: TransferKind, amount: int) -> None:
    made = move(kind, "why", amount, "CNY", account="acct_1", partner="card")
    gives, gets = made.entries
    assert (gives.party.kind, gets.party.kind) == SIDES[kind]
    assert gives.amount_nano == -amount and gets.amount_nano == amount
    assert made.currency == "CNY"


@given(AMOUNTS, st.integers(0, TRANSFER_NANO_MAX))
def test_a_charge_takes_given_credit_first(amount: int, promo: int) -> None:
    sides = {e.party.kind: e.amount_nano for e in charge("c", amount, "USD", "a", promo).entries}
    assert sum(sides.values()) == 0 and sides["revenue"] == amount
    assert sides.get("promo", 0) == -min(promo, amount)
    assert 0 not in sides.values()


@pytest.mark.parametrize("amount", [0, -1, TRANSFER_NANO_MAX + 1, 1 << 80])
def test_amounts_out_of_range(amount: int) -> None:
    for build in (lambda: move("top_up", "c", amount, "CNY", account="a", partner="p"),
                  lambda: charge("c", amount, "CNY", "a", 0)):
        with pytest.raises(RelayError) as caught:
            build()
        assert caught.value.code == "amount_range"
    with pytest.raises(RelayError):
        charge("c", 1, "CNY", "a", -1)


@given(st.lists(st.tuples(st.sampled_from(["CNY", "USD"]), st.integers(-100, 100)), max_size=6))
def test_what_is_checked(sides: list[tuple[str, int]]) -> None:
    entries = tuple(Entry(LedgerAccount("balance", f"a{index}", currency), amount)
                    for index, (currency, amount) in enumerate(sides))
    right = len(entries) > 1 and sum(amount for _, amount in sides) == 0 \
        and all(amount for _, amount in sides) and len({currency for currency, _ in sides}) == 1
    if right:
        assert check(Transfer("charge", "c", entries)).entries == entries
    else:
        with pytest.raises((AssertionError, RelayError)):
            check(Transfer("charge", "c", entries))


def test_one_entry_holds_what_a_call_may_cost_and_a_sum_stays_in_64_bits() -> None:
    assert AMOUNT_MAX <= TRANSFER_NANO_MAX
    assert 4_600_000_000 * NANO < BALANCE_NANO_MAX < (1 << 63) - TRANSFER_NANO_MAX


def test_one_entry_above_the_most_is_enough() -> None:
    entries = (Entry(PAYER, -TRANSFER_NANO_MAX - 1), Entry(EARNED, TRANSFER_NANO_MAX),
               Entry(LedgerAccount("fees", "card", "CNY"), 1))
    with pytest.raises(RelayError) as caught:
        check(Transfer("charge", "c", entries))
    assert caught.value.code == "amount_range"
    longest = Transfer("charge", "x" * 200, (Entry(PAYER, -5), Entry(EARNED, 5)))
    assert check(longest) is longest


def test_currencies_are_never_mixed() -> None:
    mixed = (Entry(PAYER, -5), Entry(LedgerAccount("revenue", "", "USD"), 5))
    with pytest.raises(RelayError) as caught:
        check(Transfer("charge", "c", mixed))
    assert caught.value.code == "currency_mismatch"


@pytest.mark.parametrize("entries, cause", [
    ((Entry(PAYER, -5), Entry(EARNED, 4)), "c"),
    ((Entry(PAYER, -5), Entry(EARNED, 5), Entry(LedgerAccount("fees", "card", "CNY"), 0)), "c"),
    ((Entry(PAYER, -5), Entry(PAYER, 5)), "c"),
    ((Entry(PAYER, -5), Entry(EARNED, 5)), ""),
    ((Entry(PAYER, -5), Entry(EARNED, 5)), "x" * 201),
    ((Entry(PAYER, -5), Entry(LedgerAccount("revenue", "acct_1", "CNY"), 5)), "c"),
    ((Entry(LedgerAccount("balance", "", "CNY"), -5), Entry(EARNED, 5)), "c"),
    ((Entry(LedgerAccount("balance", "a", "cny"), -5),
      Entry(LedgerAccount("revenue", "", "cny"), 5)), "c"),
])
def test_a_fault_of_the_code_is_no_error_for_clients(
    entries: tuple[Entry, ...], cause: str
) -> None:
    with pytest.raises(AssertionError):
        check(Transfer("charge", cause, entries))


@given(st.lists(st.tuples(st.sampled_from(sorted(SIDES)), st.integers(1, 10 ** 12))))
def test_the_book_sums_to_zero(steps: list[tuple[TransferKind, int]]) -> None:
    book = folded(move(kind, str(index), amount, "CNY", account="a", partner="p")
                  for index, (kind, amount) in enumerate(steps))
    assert sum(book.values()) == 0
    assert all(LEDGER_KINDS[party.kind] for party in book)


@given(st.integers(-BALANCE_NANO_MAX * 2, BALANCE_NANO_MAX * 2))
def test_balances_have_bounds(nano: int) -> None:
    for kind in LEDGER_KINDS:
        party = LedgerAccount(kind, "a", "CNY")
        fits = abs(nano) <= BALANCE_NANO_MAX and (nano >= 0 or kind not in NEVER_BELOW)
        if fits:
            assert check_balance(party, nano) == nano
        else:
            with pytest.raises(RelayError):
                check_balance(party, nano)
