"""Audit events: who did what to whose data, as a chain of hashes.

Law: actions are a closed table, and details are ids, words of the code and numbers: nothing in an
event but its sealed reason can name a person. A hash is over every field of the event and over the
hash before it, so no event changes, goes or comes between without all later hashes being others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from relayd.core.account import is_written
from relayd.core.actor import Via
from relayd.core.errors import RelayError

Detail = str | int | bool | None
HASH_BYTES: Final = 32
START: Final = bytes(HASH_BYTES)
"""Stands for the hash before the first event."""
DETAILS_MAX: Final = 16
REASON_CHARS_MAX: Final = 1000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
# no @ and no space: neither an address nor a name of a person fits
_WORD: Final = re.compile(r"[A-Za-z0-9_.:*+/=-]{0,200}")


class Action(NamedTuple):
    """One row of the table: what was done, and whether it takes a reason.

    `look` marks what shows personal data to somebody who is not their owner.
    """

    name: str
    meaning: str
    needs_reason: bool = False
    look: bool = False


def _actions(*rows: Action) -> dict[str, Action]:
    return {row.name: row for row in rows}


ACTIONS: Final = _actions(
    # accounts
    Action("account.create", "An account was made."),
    Action("account.verify", "An account's e-mail address was verified."),
    Action("account.change", "An account's own data were changed."),
    Action("account.suspend", "An account was suspended."),
    Action("account.resume", "A suspended account was resumed."),
    Action("account.terminate", "An account was terminated.", needs_reason=True),
    Action("account.close", "An account's erasure was asked for."),
    Action("account.keep", "An erasure was called off within its cooling-off."),
    Action("account.erase", "An account was erased."),
    Action("account.export", "An account's data were exported."),
    Action("role.give", "A role was given to an account."),
    Action("role.take", "A role was taken from an account."),
    Action("conflict.refuse", "An operator was refused because of whose account it was."),
    # signing in
    Action("session.start", "An account signed in."),
    Action("session.end", "A session was ended."),
    Action("signin.lock", "Sign-in was locked after wrong passwords."),
    Action("password.change", "A password was changed."),
    Action("password.reset", "A password was reset by a mailed token."),
    Action("totp.add", "Codes of an authenticator were turned on."),
    Action("totp.remove", "Codes of an authenticator were turned off."),
    Action("totp.codes", "Recovery codes were replaced."),
    Action("passkey.add", "A passkey was added."),
    Action("passkey.remove", "A passkey was removed."),
    Action("identity.check", "A third party verified an account's identity, or did not."),
    # keys and limits
    Action("key.create", "An API key was made."),
    Action("key.change", "An API key's name, models or expiry was changed."),
    Action("key.rotate", "An API key was replaced by another."),
    Action("key.expose", "An API key came over the network in clear."),
    Action("key.revoke", "An API key was revoked."),
    Action("limit.change", "Limits of an account or a key were changed."),
    # looks at what is personal
    Action("personal.look", "Personal data were shown.", needs_reason=True, look=True),
    Action("accounts.list", "The addresses of all accounts were listed.", look=True),
    Action("records.look", "An account's call records were shown.", needs_reason=True, look=True),
    Action("network.look", "Network records were opened.", needs_reason=True, look=True),
    Action("ticket.look", "A ticket was opened.", look=True),
    Action("ticket.answer", "A ticket was answered."),
    Action("ticket.close", "A ticket was closed."),
    # consents, documents, mail
    Action("consent.give", "A consent was given."),
    Action("consent.withdraw", "A consent was withdrawn."),
    Action("mail.look", "A mail that was not yet sent was shown.", look=True),
    Action("document.publish", "A version of a document was published."),
    Action("notice.publish", "A notice was published."),
    Action("notice.end", "A notice was taken down."),
    Action("notice.answer", "A holder answered to a notice."),
    # money
    Action("order.create", "A top-up was ordered."),
    Action("order.credit", "A paid order was credited to the balance."),
    Action("refund.ask", "A refund was asked for at the payment partner.", needs_reason=True),
    Action("refund.end", "A refund was paid out, given up, or came back."),
    Action("dispute.open", "A payer's bank disputed a payment."),
    Action("dispute.close", "A dispute was decided."),
    Action("credit.change", "How much an account may owe was changed."),
    Action("plan.change", "An account was given another plan."),
    Action("subscription.cancel", "A subscription was cancelled."),
    Action("subscription.keep", "A cancelled subscription was taken up again."),
    Action("subscription.schedule", "Another plan was chosen for the next period."),
    Action("subscription.unschedule", "A change of plan was called off before it came."),
    Action("subscription.end", "A subscription ended."),
    Action("code.create", "A code to redeem was made."),
    Action("code.end", "A code can be redeemed no more."),
    Action("code.redeem", "A code was redeemed."),
    Action("credit.grant", "Credit was given to an account.", needs_reason=True),
    Action("credit.end", "Credit that was given was taken back.", needs_reason=True),
    Action("alarm.see", "A partner's message that fits nothing was looked at."),
    Action("statement.check", "A partner's statement was held against the ledger."),
    # invoices and fapiao
    Action("month.close", "A month was closed into invoices and receipts."),
    Action("invoice.look", "A holder's invoice was opened.", look=True),
    Action("invoice.void", "An invoice was taken back.", needs_reason=True),
    Action("invoice.settle", "An open invoice was paid, or given up."),
    Action("enterprise.mark", "An account was marked as a company's."),
    Action("enterprise.unmark", "An account is a company's no more."),
    Action("enterprise.change", "A company's profile was changed."),
    Action("fapiao.apply", "A fapiao was applied for."),
    Action("fapiao.cancel", "An application for a fapiao was taken back."),
    Action("fapiao.look", "A holder's fapiao was opened.", look=True),
    Action("fapiao.take", "Somebody took an application for a fapiao up."),
    Action("fapiao.reject", "An application for a fapiao was rejected."),
    Action("fapiao.export", "Applications for fapiao were handed to the bookkeeper.", look=True),
    Action("fapiao.import", "An issued fapiao was taken in."),
    Action("fapiao.deliver", "An issued fapiao was fetched by its holder."),
    Action("fapiao.reverse", "A red-letter fapiao was asked for."),
    Action("fapiao.confirm", "A red-letter fapiao was confirmed, or refused."),
    # law
    Action("request.open", "A lawful request was entered.", needs_reason=True),
    Action("request.approve", "A lawful request was approved.", needs_reason=True),
    Action("request.refuse", "A lawful request was refused.", needs_reason=True),
    Action("request.produce", "Data were produced for a lawful request.", needs_reason=True,
           look=True),
    Action("request.end", "A lawful request ended without data: not held, or too late."),
    Action("request.tell", "The owner was told of a lawful request."),
    Action("vault.look", "The legal vault was opened.", needs_reason=True, look=True),
    Action("vault.destroy", "A year of the legal vault was destroyed."),
    Action("handover.announce", "A handover of the business was announced."),
    Action("handover.object", "An account's holder objected to a handover."),
    Action("handover.cancel", "A handover was called off."),
    Action("handover.bundle", "The data of a handover were bundled.", needs_reason=True),
    # abuse
    Action("abuse.find", "A rule against abuse found something."),
    Action("abuse.appeal", "The holder asked for a human decision."),
    Action("abuse.lift", "A finding was lifted.", needs_reason=True),
    Action("abuse.confirm", "A finding was confirmed.", needs_reason=True),
    # the audit log and the store themselves
    Action("audit.key", "A signing key was made."),
    Action("audit.prune", "Audit events whose time was over were deleted."),
    Action("canary.report", "A canary report was written."),
    Action("data_key.rotate", "Data keys were wrapped anew."),
    Action("store.restore", "A backup was put in the store's place."),
    Action("retention.sweep", "Data whose time was over were deleted."),
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event. `roles` and `details` are as they are stored; `reason` is sealed."""

    seq: int
    at_ms: int
    actor: str | None
    roles: str
    via: Via
    action: str
    target: str | None
    reason: bytes | None = field(repr=False)
    details: str


def action_of(name: str) -> Action:
    """The table's row; an unknown name is a fault of the caller's code."""
    if name not in ACTIONS:
        raise AssertionError(f"{name} is not in the table of actions")
    return ACTIONS[name]


def check_reason(action: Action, reason: str | None) -> str | None:
    """The reason without surrounding space. Raises `reason_missing`, `invalid_value`."""
    reason = None if reason is None else reason.replace("\r\n", "\n").strip()
    if not reason:
        if action.needs_reason:
            raise RelayError("reason_missing", param="reason")
        return None
    # lines are allowed: a reason may quote a letter
    if len(reason) > REASON_CHARS_MAX or not is_written(reason.replace("\n", "")):
        raise RelayError("invalid_value", param="reason")
    return reason


def check_details(details: Mapping[str, Detail]) -> dict[str, Detail]:
    """The details by name; what could be a person's name or address is a fault of the caller."""
    if len(details) > DETAILS_MAX:
        raise AssertionError("too many details")
    for name, value in details.items():
        text_only = not isinstance(value, str) or _WORD.fullmatch(value) is not None
        if _NAME.fullmatch(name) is None or not text_only:
            raise AssertionError(f"the detail {name} is no id, word or number")
    return dict(sorted(details.items()))


def packed(event: AuditEvent) -> bytes:
    """The event as bytes that no other event has: every field with its kind and its length."""
    fields = (event.seq, event.at_ms, event.actor, event.roles, event.via, event.action,
              event.target, event.reason, event.details)
    return b"relayd audit 1\n" + b"".join(_packed(value) for value in fields)


def _packed(value: int | str | bytes | None) -> bytes:
    if value is None:
        return b"n0:"
    kind, data = (b"b", value) if isinstance(value, bytes) else (
        b"i" if isinstance(value, int) else b"s", str(value).encode("utf-8"))
    return b"%b%d:%b" % (kind, len(data), data)


def chained(before: bytes, event: AuditEvent) -> bytes:
    """The event's hash: SHA-256 of the hash before it and of the event."""
    return hashlib.sha256(before + packed(event)).digest()
