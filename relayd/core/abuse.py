"""Rules against abuse, over metadata alone: how much, from how many networks, how often refused.

Law: what a rule sees is `Signs`: an account's id and numbers. There is no field that content, an
address or a name could be in, and nothing here can reach one. A rule finds; what is done about it
is the operator's choice, and a person has the last word (PIPL art. 24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from relayd.core.errors import RelayError
from relayd.core.standing import Reason

Rule = Literal["velocity", "key_sharing", "declines", "refunds", "disposable_mail",
               "credential_stuffing"]
State = Literal["open", "lifted", "confirmed"]
Verdict = Literal["lift", "confirm"]
MOVES: Final[dict[tuple[State, Verdict], State]] = {
    ("open", "lift"): "lifted", ("open", "confirm"): "confirmed",
    # a person may think again
    ("confirmed", "lift"): "lifted",
}
QUIET_MS: Final = 30 * 86_400_000
"""For so long after it was decided on a rule finds nothing more about the account."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of an account: numbers of the last hour, day or month."""

    account: str
    hour_calls: int = 0
    usual_hour_calls: int = 0
    """The mean of the hours with calls, of the week before."""
    key_networks: int = 0
    """From how many networks today, of the key that was used from the most."""
    payments: int = 0
    payments_failed: int = 0
    payments_returned: int = 0
    """Of 30 days: refunded or disputed."""
    wrong_sign_ins: int = 0
    """Wrong passwords and codes of the last hour."""
    disposable_mail: bool = False


@dataclass(frozen=True, slots=True)
class AbuseRules:
    """Bounds; 0 turns a rule off. `suspend` names the rules that suspend at once."""

    calls_per_hour: int = 2000
    usual_factor: int = 20
    key_networks: int = 20
    payments_failed: int = 5
    failed_percent: int = 60
    payments_returned: int = 3
    returned_percent: int = 50
    wrong_sign_ins: int = 100
    disposable_mail: Literal["warn", "block", "allow"] = "warn"
    suspend: tuple[Rule, ...] = ()


class Found(NamedTuple):
    """A rule that fired: what it saw, and the bound that was reached."""

    rule: Rule
    figure: int
    bound: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What is kept of it. `suspended`: the account was suspended because of it."""

    id: str
    account: str
    rule: Rule
    at_ms: int
    figure: int
    bound: int
    suspended: bool
    state: State = "open"
    decided_at_ms: int | None = None
    decided_by: str | None = None


def advance(state: State, verdict: Verdict) -> State:
    """The state after a decision. Raises RelayError `finding_state`."""
    try:
        return MOVES[state, verdict]
    except KeyError:
        raise RelayError("finding_state") from None


def _velocity(signs: Signs, rules: AbuseRules) -> Found | None:
    """Many more calls than ever: a key that somebody else has found, or resells."""
    bound = max(rules.calls_per_hour, rules.usual_factor * signs.usual_hour_calls)
    if not rules.calls_per_hour or signs.hour_calls < bound:
        return None
    return Found("velocity", signs.hour_calls, bound)


def _key_sharing(signs: Signs, rules: AbuseRules) -> Found | None:
    if not rules.key_networks or signs.key_networks < rules.key_networks:
        return None
    return Found("key_sharing", signs.key_networks, rules.key_networks)


def _declines(signs: Signs, rules: AbuseRules) -> Found | None:
    """Payments that fail again and again: stolen cards are tried out like that."""
    return _ratio("declines", (signs.payments_failed, signs.payments),
                  rules.payments_failed, rules.failed_percent)


def _refunds(signs: Signs, rules: AbuseRules) -> Found | None:
    return _ratio("refunds", (signs.payments_returned, signs.payments),
                  rules.payments_returned, rules.returned_percent)


def _ratio(rule: Rule, part_of: tuple[int, int], least: int, percent: int) -> Found | None:
    part, whole = part_of
    if not least or part < least or part * 100 < whole * percent:
        return None
    return Found(rule, part, least)


def _disposable_mail(signs: Signs, rules: AbuseRules) -> Found | None:
    if rules.disposable_mail == "allow" or not signs.disposable_mail:
        return None
    return Found("disposable_mail", 1, 1)


def _credential_stuffing(signs: Signs, rules: AbuseRules) -> Found | None:
    if not rules.wrong_sign_ins or signs.wrong_sign_ins < rules.wrong_sign_ins:
        return None
    return Found("credential_stuffing", signs.wrong_sign_ins, rules.wrong_sign_ins)


RULES: Final[dict[Rule, tuple[Callable[[Signs, AbuseRules], Found | None], Reason]]] = {
    "velocity": (_velocity, "abuse"),
    "key_sharing": (_key_sharing, "abuse"),
    "declines": (_declines, "payment"),
    "refunds": (_refunds, "payment"),
    "disposable_mail": (_disposable_mail, "terms"),
    "credential_stuffing": (_credential_stuffing, "security"),
}
"""Each rule, and the reason that an account's holder is told where it suspends."""


def judge(signs: Signs, rules: AbuseRules) -> Iterator[Found]:
    """Every rule that fires."""
    for rule, _ in RULES.values():
        found = rule(signs, rules)
        if found is not None:
            yield found
