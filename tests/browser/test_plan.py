"""A plan, a code and a cap, as people do it in a browser; no card's number is left anywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from relayd.control import grant
from relayd.control.grant import Credit
from relayd.core.actor import SHELL
from relayd.core.plan import Plan
from relayd.ops.clock import unix_ms
from tests.browser.test_purchase import bought, cards_in
from tests.browser.visitor import Visitor
from tests.fakes.house import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser

UNIT = 10 ** 9
PLANS = {plan.name: plan for plan in (
    Plan("team", title="Team", title_zh="团队", period="month", fee_nano=10 * UNIT,
         allowance_nano=12 * UNIT, currency="CNY", offered=True),
    Plan("large", title="Large", title_zh="旗舰", period="month", fee_nano=20 * UNIT,
         allowance_nano=30 * UNIT, currency="CNY", offered=True))}
WORDS = {
    "en": {"pay": "Pay 10.00 CNY and start", "active": "active",
           "redeem": "Redeem a code", "set": "Set", "cancel": "Cancel the subscription",
           "keep": "Keep it after all", "then": "Large: 20.00 CNY",
           "unschedule": "Keep the present plan"},
    "zh": {"pay": "支付 10.00 CNY 并开始", "active": "有效",
           "redeem": "兑换", "set": "保存", "cancel": "取消订阅", "keep": "继续订阅",
           "then": "旗舰: 20.00 CNY", "unschedule": "撤销更换"},
}


@pytest.mark.parametrize("language", ("en", "zh"))
@pytest.mark.parametrize("script", (True, False), ids=("with script", "without script"))
def test_a_plan_a_code_and_a_cap(
    chromium: Browser, house: House, language: str, script: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(house.app, "config", replace(house.app.config, plans=PLANS))
    who = house.run(house.newcomer(f"planner-{language}-{script}"))
    code = house.run(grant.make_code(
        house.app.db, Credit(5 * UNIT, "CNY"), 1, None, unix_ms(), SHELL))
    words = WORDS[language]
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        page, main = visitor.page, visitor.page.locator("main")
        bought(visitor, house, "card")
        assert visitor.go("/plans") == 200
        page.locator("a[href='/plans/choose/team']").click()
        visitor.expect(page).to_have_url(house.origin + "/plans/choose/team")
        visitor.press(words["pay"])
        visitor.expect(page).to_have_url(house.origin + "/plans")
        visitor.expect(main).to_contain_text(words["active"])
        visitor.press(words["cancel"])
        visitor.press(words["keep"])
        visitor.expect(main.get_by_role("button", name=words["cancel"])).to_have_count(1)
        page.locator("a[href='/plans/choose/large']").click()
        page.locator("form[action='/plans/schedule/large'] button").click()
        visitor.expect(page).to_have_url(house.origin + "/plans")
        visitor.expect(main).to_contain_text(words["then"])
        visitor.press(words["unschedule"])
        visitor.expect(main).not_to_contain_text(words["then"])
        visitor.expect(main).to_contain_text(words["active"])
        assert visitor.go("/credit") == 200
        page.locator("[name=code]").fill(code.text)
        visitor.press(words["redeem"])
        visitor.expect(main).to_contain_text("5.00 CNY")
        visitor.go("/balance/caps")
        page.locator("[name=daily_cap]").fill("3")
        visitor.press(words["set"])
        visitor.expect(page.locator("[name=daily_cap]")).to_have_value("3.00")
        visitor.go("/balance")
        # 12.34 paid less the fee, 12 of use included, 5 given
        visitor.expect(main).to_contain_text(re.compile(r"19\.34 CNY"))
        assert visitor.faults == [] and code.text not in page.content()
    assert cards_in(house.app.db.directory.rglob("*")) == []
