"""What an export of an account holds: every document, every field, its type and its meaning.

Law: the schema is made of this table, and a test holds real documents against it: a field that is
not here is in no document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_TYPES: Final = {"text": "string", "whole": "integer", "number": "number", "flag": "boolean",
                 "table": "object", "list": "array"}
_TOKENS: Final = (
    "input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens"
    " reasoning_output_tokens audio_input_tokens audio_output_tokens")

_PRICED: Final = (
    "cache_creation_1h_input_tokens image_input_tokens image_output_tokens images audio_seconds"
    " searches")


class Document(NamedTuple):
    """One document: what it holds, and its fields by type. A type with ? may be null."""

    about: str
    fields: Mapping[str, str]


def _document(about: str, **by_type: str) -> Document:
    fields: dict[str, str] = {}
    for kind, names in by_type.items():
        said = kind.removesuffix("_or_null") + ("?" if kind.endswith("_or_null") else "")
        fields |= dict.fromkeys(names.split(), said)
    return Document(about, fields)


DOCUMENTS: Final[Mapping[str, Document]] = {
    "account": _document(
        "The account: who you are here, as you said.",
        text="id state language created_at state_since",
        text_or_null="email name username country reason age_stated_at password_set_at seen_at"
                     " reminded_at", whole="reminders",
        table="limits"),
    "keys": _document(
        "API keys, without what could be used as one.",
        text="id account name hint state created_at", text_or_null="app expires_at replaces",
        list_or_null="models", table="limits"),
    "calls": _document(
        "Calls one by one, as long as they are kept. No content: none is kept.",
        text="id started_at account key api endpoint outcome usage_source currency",
        text_or_null="app model provider provider_model error",
        whole=f"status attempts amount_nano {_TOKENS} {_PRICED}",
        whole_or_null="counted_input_tokens counted_output_tokens",
        number_or_null="first_byte_ms duration_ms", flag="stream"),
    "totals": _document(
        "Sums of all calls by model, also of those that are not kept one by one.",
        text="currency", text_or_null="model", whole=f"calls amount_nano {_TOKENS}"),
    "hours": _document(
        "The same by hour, key, model and provider.",
        text="key_id currency", text_or_null="model provider",
        whole=f"hour_ms calls amount_nano {_TOKENS}"),
    "sessions": _document(
        "Where you are signed in.",
        text="id device method stage created_at used_at ends_at", text_or_null="address",
        flag="two_factors current"),
    "sign_ins": _document(
        "Attempts to sign in, right and wrong.",
        text="at outcome method device", text_or_null="address"),
    "second_factors": _document(
        "Second factors, without their secrets.",
        text="kind id name created_at", text_or_null="used_at", whole="codes_left"),
    "consents": _document(
        "What you agreed to and withdrew, with the hash of the words.",
        text="item act document sha256 language channel at", whole="version"),
    "tickets": _document(
        "What you wrote to us, and our answers.",
        text="id class state subject language opened_at", text_or_null="account due_at closed_at",
        flag="overdue", list="messages"),
    "letters": _document(
        "Which mails went to you and when; what they said is deleted when they are sent.",
        text="id kind class language state queued_at", whole="attempts",
        text_or_null="account outcome next_at ended_at"),
    "network_records": _document(
        "From which addresses your keys were used.",
        text="at", text_or_null="key address tls client", whole_or_null="port"),
    "orders": _document(
        "Orders and payments, and their copies in the legal vault.",
        text="id partner state currency created_at expires_at",
        text_or_null="session trade paid_at",
        whole="amount_minor refunded_minor", table="copy"),
    "invoices": _document(
        "Invoices and receipts with their lines; amounts are minor units, those of lines 10^-9.",
        text="id number kind state account currency period_start period_end issued_at",
        text_or_null="reverses",
        whole="amount_nano net_minor tax_minor total_minor places vat_rate",
        flag="vat_inclusive", table="seller buyer", list="lines"),
    "enterprise": _document(
        "What your company said of itself.", text="marked_at changed_at", flag="marked",
        table_or_null="profile"),
    "fapiao": _document(
        "Fapiao that you applied for, and the files that were issued; amounts are fen.",
        text="id account kind state created_at",
        text_or_null="reason reverses confirmation number issued_on",
        whole="amount_minor tax_minor vat_rate", table="buyer orders files"),
    "access": _document(
        "Who did what with your account, and who looked at your data, why.",
        text="at action meaning by", text_or_null="reason", flag="look"),
    "roles": _document("Roles that the account has.", text="role", whole="given_at_ms"),
    "objections": _document(
        "What you answered to notices.", text="notice_id answer", whole="at_ms"),
    "findings": _document(
        "What rules against abuse found, and what a person decided.",
        text="rule state", whole="at_ms figure bound suspended", whole_or_null="decided_at_ms"),
    "exposures": _document(
        "Keys of yours that came over the network without TLS.", text="key_id", whole="at_ms"),
    "identity_checks": _document(
        "What a third party said of your identity; what you showed it is not kept.",
        text="provider verdict level", whole="at_ms"),
    "refunds": _document(
        "Refunds of your orders.", text="id order_id state", whole="amount_minor asked_at_ms",
        whole_or_null="ended_at_ms"),
    "disputes": _document(
        "Disputes about your orders, as the payment partner tells them.",
        text="id order_id state", whole="amount_minor opened_at_ms",
        whole_or_null="closed_at_ms"),
    "books": _document(
        "Every entry of your balance in the books; amounts are 10^-9 of the currency.",
        text="kind cause account_kind currency", whole="transfer at_ms amount_nano"),
    "spending": _document(
        "What you have used, and what of it was charged.",
        text="currency", whole="used_nano charged_nano before_nano"),
    "credit": _document("What you may owe.", text="currency", whole="credit_nano"),
    "plans": _document("The plan of your account.", text="plan"),
    "subscriptions": _document(
        "Your subscription.", text="plan version state",
        whole="anchor_day start_ms end_ms due_at_ms tries reminded", text_or_null="next_plan"),
    "grants": _document(
        "Credit that you were given.", text="id currency source",
        whole="amount_nano left_nano created_at_ms", whole_or_null="expires_at_ms"),
    "codes": _document("Codes that you redeemed.", text="code_id", whole="at_ms"),
    "alerts": _document(
        "When you want to be told of a low balance.", text="currency", whole="below_nano told"),
    "erasures": _document(
        "Erasures that were asked for.",
        text="id account cause state asked_at due_at", text_or_null="ended_at"),
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a document: a list of objects with these fields and no other."""
    document = DOCUMENTS[name]
    return {
        "type": "array", "description": document.about,
        "items": {
            "type": "object", "additionalProperties": False,
            "properties": {field: _schema(kind) for field, kind in document.fields.items()},
        },
    }


def _schema(kind: str) -> dict[str, Any]:
    name = _TYPES[kind.removesuffix("?")]
    return {"type": [name, "null"] if kind.endswith("?") else name}
