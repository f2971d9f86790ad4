"""What the ledger of money has: holders' balances and what moved them, and the book's own check.

Law: this only reads. A balance changes by a transfer alone, in the use case that has its cause.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.core.posting import LedgerAccount, LedgerKind
from relayd.core.timestamp import rfc3339
from relayd.store import grant as store_grant
from relayd.store import posting as store_posting
from relayd.store import wallet as store_wallet
from relayd.store.db import Database
from relayd.store.posting import Posted, Wrong

HISTORY_MAX: Final = 500
_OWN: Final[tuple[LedgerKind, ...]] = ("balance", "promo", "refunds", "disputes")


class Balance(NamedTuple):
    """What an account has in one currency, in nano-units: `balance` was paid for, `promo` was
    given; `refunds` and `disputes` are held and not to be spent."""

    currency: str
    balance: int
    promo: int
    refunds: int
    disputes: int


async def balances(db: Database, account_id: str) -> list[Balance]:
    """One for each currency that the account ever had anything in."""
    async with db.reading() as transaction:
        found = await store_posting.balances(transaction, account_id)
    currencies = sorted({party.currency for party in found})
    return [Balance(currency, *(found.get(LedgerAccount(kind, account_id, currency), 0)
                                for kind in _OWN)) for currency in currencies]


async def history(
    db: Database, account_id: str, currency: str, kind: LedgerKind = "balance",
    before: int | None = None, most: int = HISTORY_MAX,
) -> list[tuple[Posted, int]]:
    """The newest transfers of one of an account's ledger accounts, with its own amounts."""
    async with db.reading() as transaction:
        return await store_posting.history(
            transaction, LedgerAccount(kind, account_id, currency), before,
            min(most, HISTORY_MAX))


async def verify(db: Database) -> list[Wrong]:
    """What is wrong with the book of money; empty where all is well. Reads all of it.

    Besides the book's own check: use is what its hours sum to, charges are what the ledger took
    for calls, credit that was given is what is left of the grants.
    """
    async with db.reading() as transaction:
        found = await store_posting.wrong(transaction)
        for what, check in (("use", store_wallet.wrong), ("charges", store_wallet.wrong_charges),
                            ("grants", store_grant.wrong)):
            found += [Wrong(what, f"{who}:{currency}", stored, computed)
                      for who, currency, stored, computed in await check(transaction)]
    return found


def view(posted: Posted, amount_nano: int) -> dict[str, object]:
    """A transfer as its holder sees it in JSON."""
    return {"number": posted.number, "at": rfc3339(posted.at_ms), "kind": posted.transfer.kind,
            "cause": posted.transfer.cause, "amount_nano": amount_nano,
            "currency": posted.transfer.currency}


def view_wrong(wrong: Wrong) -> dict[str, object]:
    """What the check found, as JSON shows it."""
    return {"ledger": wrong.what, "where": wrong.where, "stored": wrong.stored_nano,
            "computed": wrong.computed_nano}
