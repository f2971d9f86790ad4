"""Speaking with payment partners: a conversation is a generator of requests that gets replies.

Law: no I/O here. Each request names the fields that it carries, for the gate in front of the
network (core/partner.py). A reply that is not the partner's own is `webhook_forged`; one that
cannot be used is `partner_failed` where waiting may help, else `partner_refused`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.partner import Checkout, PartnerEvent, PartnerKind
from relayd.core.refund import Refund
from relayd.core.statement import StatementLine

SUBJECT: Final = "API credit"
"""What is bought, as the payer's bank shows it."""


@dataclass(frozen=True, slots=True)
class PartnerRequest:
    """One request. `target` is a path with its query below the partner's base URL, or a whole URL
    that the partner gave; `fields` are the names of all that the request tells."""

    method: str
    target: str = field(repr=False)
    fields: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class PartnerReply:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class Moment(NamedTuple):
    """What a conversation needs of the world: the time, and a text nobody has used."""

    now_ms: int
    nonce: str


class Addresses(NamedTuple):
    """Where the partner sends the payer back to, and where it sends its messages. `payer`: the
    payer's own network address, where they chose a way to pay that demands it."""

    returned: str
    cancelled: str
    webhook: str
    payer: str = ""

    def __repr__(self) -> str:
        return "Addresses"


class Acknowledgement(NamedTuple):
    """How a partner wants to hear that its message has arrived."""

    status: int
    content_type: str
    body: bytes


OTHER_SHAPE: Final = (AttributeError, KeyError, TypeError, ValueError, IndexError)
"""What a JSON document of another shape than documented raises."""
MINOR_MAX: Final = 1 << 53
"""Above every amount there is; doubles hold whole numbers up to here."""
_DIGITS: Final = re.compile(r"-?[0-9]{1,16}", re.ASCII)


class Adapter(Protocol):
    """A kind of partner. All of it is pure; `Conversation`s are driven by ops/partner.py."""

    @property
    def kind(self) -> PartnerKind:
        """Which kind."""

    def checkout(self, order: Order, addresses: Addresses, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, Checkout]:
        """Opens an attempt to pay."""

    def status(self, order: Order, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """Asks how an order stands: `paid`, `failed`, `expired`, or `ignored` while it is open."""

    def refund(self, order: Order, refund: Refund, addresses: Addresses, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """Asks for a refund, or, asked again, for the same one: `refunded`, `refund_failed`, or
        `ignored` while it is under way."""

    def refund_status(self, order: Order, reference: str, moment: Moment
                      ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """Asks how a refund stands."""

    def order_of(self, trade: str, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, str]:
        """The id of the order that a payment is for; empty where the partner does not say."""

    def statement(self, day: str, moment: Moment
                  ) -> Generator[PartnerRequest, PartnerReply, list[StatementLine]]:
        """Fetches the statement of a day, such as 2026-01-31, as the partner counts days."""

    def day_start_ms(self, day: str) -> int:
        """When that day starts for the partner."""

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> PartnerEvent:
        """Reads a message. Raises `webhook_forged`, `webhook_stale` or `webhook_unreadable`."""

    @property
    def acknowledgement(self) -> Acknowledgement:
        """The answer to a message that has been dealt with."""


def read_json(reply: PartnerReply) -> Any:
    """The reply's JSON object where it is a success. Raises `partner_failed`, `partner_refused`.
    """
    if reply.status >= 500 or reply.status in (409, 429):
        raise RelayError("partner_failed")
    if not 200 <= reply.status < 300:
        raise RelayError("partner_refused")
    try:
        value = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise RelayError("partner_failed") from None
    if not isinstance(value, dict):
        raise RelayError("partner_failed")
    return value


def as_text(value: object) -> str:
    """A name that a partner gives; ValueError for what is no text, or an empty one."""
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def as_name(value: object) -> str | None:
    """The same where there may be none."""
    return None if value is None or value == "" else as_text(value)


def as_minor(value: object) -> int:
    """A partner's amount in minor units, also as digits; nothing for null. ValueError for all that
    is no whole number: an amount is never rounded."""
    if value is None:
        return 0
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MINOR_MAX:
        raise ValueError("no amount")
    return value


def flat_names(value: Mapping[str, object], before: str = "") -> Iterable[str]:
    """The names of a JSON object's leaves, with dots between."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from flat_names(inner, f"{before}{name}.")
        else:
            yield before + name


def rsa_sign(key: RSAPrivateKey, text: bytes) -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, in base64: what both Chinese partners use."""
    return base64.b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()


def rsa_verified(key: RSAPublicKey, text: bytes, signature: str) -> bool:
    """Whether the signature over the text is of this key."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
