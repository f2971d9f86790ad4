"""A fapiao from its order to its file and its red letter, as people get it in a browser."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relayd.control import fapiao
from relayd.control.invoice import seller_of
from relayd.core.fapiao import Fapiao
from relayd.core.issued import wanted
from relayd.wire.fapiao import write_xml
from tests.browser.test_purchase import bought
from tests.browser.visitor import Visitor
from tests.fakes.house import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = {
    "en": {"apply": "Apply", "take": "Take it up", "send": "Hand to the issuer",
           "issued": "issued", "red": "Ask for a red letter", "receipt": "Receipt",
           "confirm": "The platform confirmed it", "back": "taken back",
           "take_in": "Take in the issued files", "differs": "the buyer's name"},
    "zh": {"apply": "申请开票", "take": "受理", "send": "提交开具", "issued": "已开具",
           "red": "申请红冲", "receipt": "收据", "confirm": "填写确认单", "back": "已红冲",
           "take_in": "导入已开具的文件", "differs": "购买方名称"},
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
    clerk = house.run(house.clerk())
    with Visitor(chromium, house, clerk, language=language, script=script) as finance:
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


def xml(house: House, made: Fapiao, number: str, buyer: str) -> bytes:
    """What the tax platform would have given the bookkeeper."""
    seller = seller_of(house.app.config).block()
    return write_xml(wanted(replace(made, buyer={"name": buyer}), seller)._replace(
        number=number, issued_on="2026-11-29"))


@pytest.mark.parametrize("language", ("en", "zh"))
@pytest.mark.parametrize("script", (True, False), ids=("with script", "without script"))
def test_the_bookkeeper_brings_the_file(
    chromium: Browser, house: House, language: str, script: bool,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    invoices = replace(house.app.config.invoices, fapiao="manual")
    monkeypatch.setattr(house.app, "config", replace(house.app.config, invoices=invoices))
    who = house.run(house.newcomer(f"buyer-{language}-{script}"))
    words, number = WORDS[language], f"{time.time_ns()}1"[:20]
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        bought(visitor, house, "alipay")
        visitor.go("/fapiao")
        visitor.page.locator("[name=orders]").check()
        visitor.page.locator("[name=title]").fill("王小明")
        visitor.press(words["apply"])
        visitor.expect(visitor.page).to_have_url(re.compile("/fapiao/fap_"))
        where = visitor.page.url.removeprefix(house.origin)
    made = house.run(fapiao.own(house.app.db, who.account, where.rpartition("/")[2]))
    right, wrong = tmp_path / "dzfp.xml", tmp_path / "other.xml"
    right.write_bytes(xml(house, made, number, "王小明"))
    wrong.write_bytes(xml(house, made, number, "王大明"))
    clerk = house.run(house.clerk())
    with Visitor(chromium, house, clerk, language=language, script=script) as finance:
        page, main = finance.page, finance.page.locator("main")
        finance.go(f"/operate{where}")
        finance.press(words["take"])
        finance.press(words["send"])
        page.locator("[name=files]").set_input_files(wrong)
        finance.press(words["take_in"])
        finance.expect(main.locator("#e-files")).to_contain_text(words["differs"])
        finance.shoot("fapiao-8-refused")
        # a refusal is an answer with an error's status, which the browser notes
        finance.faults[:] = [each for each in finance.faults if "422" not in each]
        page.locator("[name=files]").set_input_files([right])
        finance.press(words["take_in"])
        finance.expect(page.locator("h1")).to_contain_text(words["issued"])
        finance.expect(main).to_contain_text(number)
        finance.shoot("fapiao-9-taken-in")
        assert finance.faults == [] and finance.hosts == {house.origin}
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        visitor.go(where)
        with visitor.page.expect_download() as download:
            visitor.page.locator(f'a[href="{where}/file/xml"]').click()
        assert Path(download.value.path()).read_bytes() == right.read_bytes()
        assert visitor.faults == []
