"""Tiers of service: what costs more than the list price is asked for where the operator wants it.

A price file has the list price (docs/decisions/0014), so a call that asks for a dearer tier would
cost the operator more than its account pays. OpenAI's `service_tier` (`priority` is about double),
Anthropic's `speed` (`fast` is several times the price), Gemini's `serviceTier`, the memory of
containers in which OpenAI runs code.
"""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import GONE, Act
from relayd.wire.walk import Walk

FIELDS: Final = frozenset({"service_tier", "serviceTier", "speed"})
"""What these fields are called."""
_LISTED: Final = frozenset({
    "auto", "default", "standard", "standard_only", "on_demand", "flex", "unspecified"})
"""None of them costs more than the list price: `auto` is what the operator's project has (at Groq
`flex` where `on_demand` is full), and `flex` costs less, and is slower."""


def tier(report: str) -> Act:
    """A field that names a tier; a dearer or unknown one is dropped, and named, unless the policy
    lets it pass."""
    def act(value: object, walk: Walk) -> object:
        if value is None:
            return GONE
        name = value.lower().removeprefix("service_tier_") if type(value) is str else ""
        if name in _LISTED or walk.policy.paid_tiers == "pass":
            return value
        walk.drop(report)
        return GONE
    return act


def speed(value: object, walk: Walk) -> object:
    """Anthropic's `speed`: `standard` unless it says otherwise."""
    return GONE if value == "standard" else _FAST(value, walk)


_FAST: Final = tier("speed")


def memory(value: object, walk: Walk) -> object:
    """How much memory a container of OpenAI's has: its price is by it, 64 times as much for `64g`
    as for `1g`, the usual one, and no record knows it."""
    if value is None or value == "1g" or walk.policy.paid_tiers == "pass":
        return value
    walk.drop("tools.memory_limit")
    return GONE
