"""A fapiao from its order to its file and its red letter, as people get it in a browser."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_purchase import bought
from tests.browser.visitor import Visitor
from tests.fakes.house import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = {
    "en": {"apply": "Apply", "take": "Take it up", "send": "Hand to the issuer",
           "issued": "issued", "red": "Ask for a red letter", "receipt": "Receipt",
           "confirm": "The platform confirmed it", "back": "taken back"},
    "zh": {"apply": "申请开票", "take": "受理", "send": "提交开具", "issued": "已开具",
           "red": "申请红冲", "receipt": "收据", "confirm": "填写确认单", "back": "已红冲"},
}


@pytest.mark.parametrize("language", ("en", "zh"))
@pytest.mark.parametrize("script", (True, False), ids=("with script", "without script"))
def test_a_fapiao_and_its_red_letter(
    chromium: Browser, house: House, language: str, script: bool
) -> None:
    who = house.run(house.newcomer(f"payer-{language}-{script}"))
    words = WORDS[language]
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        order = bought(visitor, house, "alipay")
        visitor.press(words["receipt"])
        visitor.expect(visitor.page.locator("main")).to_contain_text("REC-")
        visitor.shoot("fapiao-1-receipt")
        visitor.go("/fapiao")
        visitor.page.locator("[name=orders]").check()
        visitor.page.locator("[name=title]").fill("王小明")
        visitor.shoot("fapiao-2-application")
        visitor.press(words["apply"])
        visitor.expect(visitor.page).to_have_url(re.compile("/fapiao/fap_"))
        where = visitor.page.url.removeprefix(house.origin)
        visitor.expect(visitor.page.locator("main")).to_contain_text(order.rpartition("/")[2])
        visitor.go(f"{where}/specimen")
        visitor.shoot("fapiao-3-specimen")
    with Visitor(chromium, house, house.operator, language=language, script=script) as finance:
        finance.page.on("dialog", lambda dialog: dialog.accept())
        finance.go(f"/operate{where}")
        finance.shoot("fapiao-4-queue")
        finance.press(words["take"])
        finance.press(words["send"])
        finance.expect(finance.page.locator("h1")).to_contain_text(words["issued"])
        finance.shoot("fapiao-5-issued")
        finance.page.locator("[name=amount]").fill("12.34")
        finance.press(words["red"])
        finance.page.locator("[name=confirmation]").fill(f"{time.time_ns()}1"[:20])
        finance.press(words["confirm"])
        finance.press(words["send"])
        finance.expect(finance.page.locator("h1")).to_contain_text(words["issued"])
        finance.shoot("fapiao-6-red")
        assert finance.faults == [] and finance.hosts == {house.origin}
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        visitor.go(where)
        visitor.expect(visitor.page.locator("h1")).to_contain_text(words["back"])
        visitor.shoot("fapiao-7-taken-back")
        assert visitor.page.locator(f'a[href="{where}/file/xml"]').count() == 1
        assert visitor.faults == []
