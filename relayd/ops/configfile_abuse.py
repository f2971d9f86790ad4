"""`[abuse]`: bounds of the rules over metadata, and which of them suspend by themselves."""

from __future__ import annotations

from typing import Final, Literal, cast

from relayd.core.abuse import RULES, AbuseRules, Rule
from relayd.ops.configfile_section import Section

COUNT_MAX: Final = 1_000_000_000
MAIL: Final = ("warn", "block", "allow")
_DEFAULT: Final = AbuseRules()


def read_abuse(section: Section) -> AbuseRules:
    """The whole table."""

    def count(name: str, least: int = 0, most: int = COUNT_MAX) -> int:
        return section.integer(name, getattr(_DEFAULT, name), least, most)

    rules = AbuseRules(
        calls_per_hour=count("calls_per_hour"),
        usual_factor=count("usual_factor", 1, 10_000),
        key_networks=count("key_networks", 0, 255),
        payments_failed=count("payments_failed"),
        failed_percent=count("failed_percent", 1, 100),
        payments_returned=count("payments_returned"),
        returned_percent=count("returned_percent", 1, 100),
        wrong_sign_ins=count("wrong_sign_ins"),
        disposable_mail=cast(Literal["warn", "block", "allow"],
                             section.choice("disposable_mail", MAIL, _DEFAULT.disposable_mail)),
        suspend=cast(tuple[Rule, ...], section.texts("suspend", _DEFAULT.suspend, _unknown)),
    )
    section.done()
    return rules


def _unknown(name: str) -> str:
    return "" if name in RULES else f"is not a rule; rules are {', '.join(RULES)}"
