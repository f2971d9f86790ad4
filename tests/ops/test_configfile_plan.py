"""[plans]: what is taken, and what is a fault."""

from __future__ import annotations

import pytest

from relayd.core.plan import Plan
from relayd.ops import configfile

WHOLE = """
[plans.default]
markup = "1.2"
models = { "gpt-4o*" = "1.1", "free" = 0 }
[plans.team]
title = "Team"
title_zh = "团队"
period = "month"
fee = "20.50"
allowance = 25
currency = "EUR"
offered = true
"""


def test_plans_are_read() -> None:
    assert configfile.loads(WHOLE).plans == {
        "default": Plan("default", 1_200_000, {"gpt-4o*": 1_100_000, "free": 0}),
        "team": Plan("team", title="Team", title_zh="团队", period="month",
                     fee_nano=20_500_000_000, allowance_nano=25_000_000_000, currency="EUR",
                     offered=True)}


@pytest.mark.parametrize("text, where", [
    ('[plans.x]\nmarkup = 1.2', "plans.x.markup"), ('[plans.x]\nmarkup = "-1"', "plans.x.markup"),
    ('[plans.X]\n', "plans.X"), ('[plans.x]\nfee = "3"', "plans.x.fee"),
    ('[plans.x]\nperiod = "week"', "plans.x.period"),
    ('[plans.x]\nperiod = "month"\nfee = 1.5', "plans.x.fee"),
    # longer than Python writes in digits
    ('[plans.x]\nperiod = "month"\nfee = 0x' + "f" * 5000, "plans.x.fee"),
    ('[plans.x]\nmarkup = 0x' + "f" * 5000, "plans.x.markup"),
    ('[plans.x]\ncurrency = "usd"', "plans.x.currency"), ('[plans.x]\nprice = 3', "plans.x.price"),
    ('[plans.x]\nmodels = { a = "b" }', "plans.x.models.a"),
    ('[plans.default]\nperiod = "month"', "plans.default.period"),
])
def test_what_is_wrong_is_named(text: str, where: str) -> None:
    faults = configfile.examine_text(text).faults
    assert where in "\n".join(str(fault) for fault in faults)
