"""The double-entry ledger of money: ledger accounts, transfers and their entries.

Law: a transfer is of one currency, its entries sum to zero and none is zero. It is written once,
under a cause that no other has, and never changed; what was wrong is set right by another one. A
balance is the sum of the entries and nothing else.

An entry above zero is what a ledger account gets, one below what it gives. So a holder's `balance`
is what the operator owes; `clearing` is below zero by what a partner holds for the operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from relayd.core.errors import RelayError
from relayd.core.money import CURRENCY

LedgerKind = Literal["balance", "promo", "refunds", "disputes", "clearing", "fees", "bank",
                     "grants", "revenue"]
OwnerKind = Literal["account", "partner", "operator"]
LEDGER_KINDS: Final[dict[LedgerKind, OwnerKind]] = {
    # a holder's money that was paid for, and credit that was given: the second is never paid out
    "balance": "account",
    "promo": "account",
    # a holder's money that is on its way back, or that a payer's bank disputes
    "refunds": "account",
    "disputes": "account",
    # what a partner holds for the operator, and what it took for its service
    "clearing": "partner",
    "fees": "partner",
    # the operator's own: paid out by partners, given away, earned
    "bank": "operator",
    "grants": "operator",
    "revenue": "operator",
}
"""Every kind of ledger account, and whose ones there are."""

NEVER_BELOW: Final = frozenset({"promo", "refunds", "disputes"})
"""Kinds that hold what was put into them: less than nothing in one is a defect."""

TransferKind = Literal[
    "top_up", "charge", "grant", "grant_expiry", "refund_hold", "refund_void", "refund",
    "refund_by_partner", "refund_bounced", "dispute", "dispute_won", "dispute_lost", "fee",
    "payout", "pay_in", "subscription", "proration"]
SIDES: Final[dict[TransferKind, tuple[LedgerKind, LedgerKind]]] = {
    # what it is: (who gives, who gets)
    "top_up": ("clearing", "balance"),
    "charge": ("balance", "revenue"),
    "grant": ("grants", "promo"),
    "grant_expiry": ("promo", "grants"),
    "refund_hold": ("balance", "refunds"),
    "refund_void": ("refunds", "balance"),
    "refund": ("refunds", "clearing"),
    "refund_by_partner": ("balance", "clearing"),
    "refund_bounced": ("clearing", "balance"),
    "dispute": ("balance", "disputes"),
    "dispute_won": ("disputes", "balance"),
    "dispute_lost": ("disputes", "clearing"),
    "fee": ("fees", "clearing"),
    "payout": ("bank", "clearing"),
    "pay_in": ("clearing", "bank"),
    "subscription": ("balance", "revenue"),
    "proration": ("revenue", "balance"),
}
"""The kinds of transfers. A `charge` may take from `promo` as well (`charge`)."""

TRANSFER_NANO_MAX: Final = 1 << 53
"""Of one entry: 9 million units of the currency."""
BALANCE_NANO_MAX: Final = 1 << 62
"""Of one ledger account: 4.6 billion units; sums of 64-bit columns stay exact below it."""
CAUSE_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, order=True)
class LedgerAccount:
    """A party in the ledger. `owner` is an account's id, a partner's name, or '' for the operator.
    """

    kind: LedgerKind
    owner: str
    currency: str


class Entry(NamedTuple):
    """One side of a transfer."""

    party: LedgerAccount
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """A movement. `cause` says why there is one, such as `order:ord_1:credited`; unique."""

    kind: TransferKind
    cause: str
    entries: tuple[Entry, ...]

    @property
    def currency(self) -> str:
        """The currency of all entries."""
        return self.entries[0].party.currency


def check(transfer: Transfer) -> Transfer:
    """The transfer itself. RelayError `amount_range` or `currency_mismatch` for amounts that came
    from outside; AssertionError where the code that built it is wrong."""
    entries = transfer.entries
    if any(abs(entry.amount_nano) > TRANSFER_NANO_MAX for entry in entries):
        raise RelayError("amount_range")
    if len({entry.party.currency for entry in entries}) != 1:
        raise RelayError("currency_mismatch")
    problem = _problem(transfer)
    if problem:
        raise AssertionError(problem)
    return transfer


def _problem(transfer: Transfer) -> str:
    entries = transfer.entries
    parties = {entry.party for entry in entries}
    if len(entries) < 2 or len(parties) != len(entries):
        return "a transfer has two parties or more, each of them once"
    if any(entry.amount_nano == 0 for entry in entries):
        return "an entry of nothing"
    if sum(entry.amount_nano for entry in entries):
        return "the entries do not sum to zero"
    if not 0 < len(transfer.cause) <= CAUSE_CHARS_MAX:
        return "a transfer has a cause"
    if not CURRENCY.fullmatch(transfer.currency):
        return "a currency is three capital letters"
    owners = {party: LEDGER_KINDS[party.kind] for party in parties}
    if any((kind == "operator") != (party.owner == "") for party, kind in owners.items()):
        return "the operator's ledger accounts have no owner, all others have one"
    return ""


def move(kind: TransferKind, cause: str, amount_nano: int, currency: str,
         *, account: str = "", partner: str = "") -> Transfer:
    """A transfer of two sides, as SIDES has them. The amount is above zero (`amount_range`)."""
    if amount_nano <= 0:
        raise RelayError("amount_range")
    owners: dict[OwnerKind, str] = {"account": account, "partner": partner, "operator": ""}
    gives, gets = (LedgerAccount(side, owners[LEDGER_KINDS[side]], currency)
                   for side in SIDES[kind])
    return check(Transfer(kind, cause, (Entry(gives, -amount_nano), Entry(gets, amount_nano))))


def charge(cause: str, amount_nano: int, currency: str, account: str, promo_nano: int) -> Transfer:
    """What calls cost: out of the promo credit that there is, then out of the balance."""
    if amount_nano <= 0 or promo_nano < 0:
        raise RelayError("amount_range")
    from_promo = min(promo_nano, amount_nano)
    sides = (("promo", account, -from_promo), ("balance", account, from_promo - amount_nano),
             ("revenue", "", amount_nano))
    return check(Transfer("charge", cause, tuple(
        Entry(LedgerAccount(kind, owner, currency), nano)  # type: ignore[arg-type]
        for kind, owner, nano in sides if nano)))


def folded(transfers: Iterable[Transfer]) -> dict[LedgerAccount, int]:
    """The balances that transfers make, from nothing."""
    balances: dict[LedgerAccount, int] = {}
    for transfer in transfers:
        for party, amount_nano in transfer.entries:
            balances[party] = balances.get(party, 0) + amount_nano
    return balances


def check_balance(party: LedgerAccount, balance_nano: int) -> int:
    """The balance itself; raises `amount_range` beyond what is held, `balance_short` below what
    this kind of ledger account can have."""
    if abs(balance_nano) > BALANCE_NANO_MAX:
        raise RelayError("amount_range")
    if balance_nano < 0 and party.kind in NEVER_BELOW:
        raise RelayError("balance_short")
    return balance_nano
