"""Changing an account's e-mail address: both mailboxes must say yes.

Law: the old address is asked, the new one is checked; either may come first. Until both have, the
old one stays. The new one says yes only to whoever is signed in to the account: who is asked by
somebody else to lend their address cannot. That it has an account is told to nobody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from relayd.control import audit, mail, mail_token, registration
from relayd.control.door import Caller, Door
from relayd.control.mail import To
from relayd.core.account import Account, check_email, folded
from relayd.core.errors import RelayError
from relayd.core.mail_token import MailToken, Purpose
from relayd.core.timestamp import rfc3339
from relayd.ops.clock import monotonic
from relayd.store import account as store_account
from relayd.store import mail_token as store_mail_token
from relayd.store.transaction import Transaction

End = Literal["old", "new"]
PURPOSES: Final[dict[End, Purpose]] = {"old": "email_old", "new": "email_new"}
KINDS: Final[dict[End, str]] = {"old": "email_change_asked", "new": "email_change_confirm"}


async def ask(door: Door, account: Account, email: str, caller: Caller, now_ms: int) -> None:
    """Mail both addresses a link. Raises `invalid_email` or `sign_in_slowed`."""
    began = monotonic()
    email = check_email(email)
    # neither the holder nor the owner of the new address is flooded
    for who in (account.id, folded(email)):
        door.ask(f"email {who}", caller, now_ms)
    async with door.db.writing() as transaction:
        await store_mail_token.delete(transaction, account.id, *PURPOSES.values())
        taken = await store_account.holding(transaction, email)
        # the old mailbox gets the same in either case, so that it does not tell them apart
        await _ask(door, transaction, account, ("old", email), now_ms)
        if taken is None or taken.id == account.id or taken.state == "unverified":
            await _ask(door, transaction, account, ("new", email), now_ms)
        else:
            await registration.tell_known(
                door, transaction, taken, To(email, account.language), now_ms)
    await door.steady(began)


async def _ask(
    door: Door, transaction: Transaction, account: Account, about: tuple[End, str], now_ms: int
) -> None:
    end, email = about
    token = await mail_token.issue(transaction, account.id, PURPOSES[end], now_ms, email)
    to = None if end == "old" else To(email, account.language)
    await mail.post(transaction, KINDS[end], account.id, {
        "link": door.link(f"/email/{end}", token),
        "minutes": mail_token.minutes(PURPOSES[end])}, now_ms, to=to)


async def confirm(
    door: Door, token: str, end: End, by: tuple[Caller, str | None], now_ms: int
) -> bool:
    """One of the two says yes; True where the address is changed now. `by`: from where, and the
    account that is signed in there; for the new address it must be the one that changes.

    Raises `token_not_usable`, also where somebody else has proved meanwhile that the new address
    is theirs.
    """
    caller, signed_in = by
    async with door.db.writing() as transaction:
        used = await mail_token.use(transaction, token, PURPOSES[end], now_ms)
        if end == "new" and used.account != signed_in:
            raise RelayError("token_not_usable")
        other = await store_mail_token.of_account(
            transaction, used.account, PURPOSES["new" if end == "old" else "old"])
        if not _agree(used, other):
            return False
        changed, gone = await _change(door, transaction, used, caller, now_ms)
    if gone is not None:
        await door.db.keyring.destroy(gone)
    if not changed:
        raise RelayError("token_not_usable")
    return True


def _agree(used: MailToken, other: MailToken | None) -> bool:
    """Whether the other mailbox has said yes to the same address."""
    return other is not None and other.used_at_ms is not None and other.value == used.value


async def _change(
    door: Door, transaction: Transaction, used: MailToken, caller: Caller, now_ms: int
) -> tuple[bool, str | None]:
    """Whether it is changed, and the id of a registration that held the address unverified, and is
    gone."""
    account = await store_account.get(transaction, used.account)
    email = check_email(used.value or "")
    # a link for a new password that went to the old address opens nothing any more
    await store_mail_token.delete(transaction, account.id, "reset", *PURPOSES.values())
    taken = await store_account.holding(transaction, email)
    gone = taken.id if taken is not None and taken.state == "unverified" else None
    if account.email is None or taken is not None and taken.id not in (account.id, gone):
        return False, None  # somebody else proved first that it is theirs
    if gone is not None:
        await registration.discard(transaction, gone, now_ms)
    await store_account.update(transaction, replace(account, email=email))
    await audit.append(transaction, caller.actor(account.id), "account.change", account.id,
                       now_ms, details={"field": "email"})
    if folded(email) != folded(account.email):
        await mail.post(transaction, "email_changed", account.id, {
            "at": rfc3339(now_ms), "link": door.link("/forgot")}, now_ms,
            to=To(account.email, account.language))
    return True, gone
