"""Mail: which kinds there are, what each may say, and when a delivery is tried again.

Law: the table is closed. What is not service mail needs its account's consent, by its class; a
mail carries the fields of its kind and nothing else, so that no text of a client reaches one.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS, MINUTE_MS

MailClass = Literal["service", "product", "marketing"]
MAIL_CLASSES: Final[tuple[MailClass, ...]] = ("service", "product", "marketing")
"""service: about the account itself, always sent. The others: where their holder agreed."""
OPTIONAL_CLASSES: Final[tuple[MailClass, ...]] = ("product", "marketing")

MailState = Literal["queued", "sent", "refused", "expired", "withdrawn"]
"""refused: the server will never take it. expired: it took none for `GIVE_UP_MS`. withdrawn: the
consent, or the account, was gone before it was sent."""

GIVE_UP_MS: Final = 3 * DAY_MS
ATTEMPTS_MIN: Final = 8
"""Two hours of them: a mail that lay while the relay was off is not given up at the first."""
RETRY_FIRST_MS: Final = MINUTE_MS
RETRY_MOST_MS: Final = 240 * MINUTE_MS
_MAC_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class MailKind:
    """One row of the table. `fields` are what its text may name."""

    name: str
    mail_class: MailClass
    fields: frozenset[str]


def _kinds(*rows: tuple[str, MailClass, str]) -> dict[str, MailKind]:
    return {name: MailKind(name, mail_class, frozenset(names.split()))
            for name, mail_class, names in rows}


MAIL_KINDS: Final = _kinds(
    # sign-up and sign-in
    ("verify_email", "service", "link minutes"),
    ("email_known", "service", "link"),
    ("reset_password", "service", "link minutes"),
    ("password_changed", "service", "at link"),
    ("new_sign_in", "service", "at device link"),
    ("locked_out", "service", "at minutes link"),
    ("second_factor_changed", "service", "at change link"),
    ("email_change_asked", "service", "link minutes"),
    ("email_change_confirm", "service", "link minutes"),
    ("email_changed", "service", "at link"),
    # the account
    ("account_suspended", "service", "reason link"),
    ("account_resumed", "service", "link"),
    ("account_terminated", "service", "reason refund link"),
    ("dormancy_reminder", "service", "months ends link"),
    ("key_exposed", "service", "key at link"),
    ("data_seen", "service", "at role reason link"),
    # rights
    ("erasure_asked", "service", "ends link"),
    ("erasure_cancelled", "service", "link"),
    ("erasure_done", "service", "certificate kept link"),
    ("ticket_received", "service", "ticket due"),
    ("ticket_answered", "service", "ticket link"),
    ("lawful_request", "service", "authority at link"),
    # documents and notices
    ("document_changed", "service", "document version effective summary link"),
    ("transfer_notice", "service", "recipient contact ends link"),
    ("service_notice", "service", "subject text"),
    ("product_update", "product", "subject text"),
    ("marketing", "marketing", "subject text"),
    # money
    ("receipt", "service", "order amount link"),
    ("payment_failed", "service", "order amount link"),
    ("refunded", "service", "order amount link"),
    ("refund_failed", "service", "order amount link"),
    ("payment_disputed", "service", "order amount link"),
    ("dispute_won", "service", "order amount link"),
    ("dispute_lost", "service", "order amount link"),
    ("invoice_ready", "service", "invoice link"),
    ("fapiao_ready", "service", "number link"),
    ("fapiao_rejected", "service", "link"),
    ("balance_low", "service", "amount link"),
    ("subscription_renews", "service", "plan amount at link"),
    ("fee_unpaid", "service", "plan amount at link"),
    ("subscription_ended", "service", "plan at link"),
)
"""A new kind is a row here and its text in both languages in control/mail_texts."""


def kind_of(name: str, fields: dict[str, str]) -> MailKind:
    """The kind of this name; the fields must be exactly its own.

    A fault here is the caller's: AssertionError.
    """
    kind = MAIL_KINDS.get(name)
    if kind is None or kind.fields != fields.keys():
        raise AssertionError(f"no mail of kind {name} with these fields")
    return kind


def needs_consent(mail_class: MailClass) -> bool:
    """Whether the class goes only to those who agreed to it."""
    return mail_class in OPTIONAL_CLASSES


def retry_ms(attempts: int) -> int:
    """The wait after so many attempts that failed: doubled each time, from a minute to 4 hours."""
    return min(RETRY_MOST_MS, RETRY_FIRST_MS << min(max(0, attempts - 1), 20))


def unsubscribe_token(secret: bytes, account_id: str, mail_class: MailClass) -> str:
    """What a mail's unsubscribe link holds (RFC 8058): works for good, without a sign-in.

    It says who and what, and is signed, so that nobody can unsubscribe another account. Raises
    AssertionError for service mail, which cannot be unsubscribed.
    """
    if not needs_consent(mail_class):
        raise AssertionError("service mail has no unsubscribe link")
    said = f"{account_id}.{mail_class}".encode()
    return _text(said) + "." + _text(_mac(secret, said))


def read_unsubscribe_token(secret: bytes, token: str) -> tuple[str, MailClass]:
    """(account, class) of a token. Raises RelayError `token_not_usable` where it is not ours."""
    said_text, dot, mac_text = token.partition(".")
    said, mac = _bytes(said_text), _bytes(mac_text)
    if not dot or not hmac.compare_digest(_mac(secret, said), mac):
        raise RelayError("token_not_usable")
    account_id, _, word = said.decode().rpartition(".")
    for mail_class in OPTIONAL_CLASSES:
        if word == mail_class:
            return account_id, mail_class
    raise RelayError("token_not_usable")


def _mac(secret: bytes, said: bytes) -> bytes:
    return hmac.digest(secret, said, "sha256")[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
