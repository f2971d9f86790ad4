"""A purchase and its refund at the local partners, as people do it in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relayd.core.luhn import is_luhn
from tests.browser.visitor import Visitor
from tests.fakes.house import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = {
    "en": {"order": "Order", "pay": "Go on to the payment", "look": "I have paid: look again",
           "credited": "credited", "refund": "Refund", "part": "refunded in part"},
    "zh": {"order": "下单", "pay": "前往付款", "look": "我已付款，刷新状态", "credited": "已入账",
           "refund": "退款", "part": "部分退款"},
}
# digits that stand alone, together or in groups of four, as card numbers are written
NUMBER = re.compile(rb"(?<![0-9A-Za-z])(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){2}[ -][0-9]{1,7})"
                    rb"(?![0-9A-Za-z])")
CARD = "4242 4242 4242 4242"


def cards_in(files: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Numbers in files that may be cards': those of payment cards begin with 2 to 6, and times in
    milliseconds, which stand in causes of the ledger, with 1."""
    return [(file.name, found) for file in files if file.is_file()
            for found in NUMBER.findall(file.read_bytes())
            if found[:1] in b"23456" and is_luhn(re.sub(rb"[^0-9]", b"", found).decode())]


def bought(visitor: Visitor, house: House, partner: str) -> str:
    """Tops up by the pages; the order's path."""
    page, words = visitor.page, WORDS[visitor.language]
    assert visitor.go("/balance") == 200
    page.locator("[name=amount]").fill("12.34")
    page.locator("[name=partner]").select_option(partner)
    partner = partner.replace("/", "-")
    visitor.shoot(f"purchase-1-balance-{partner}")
    visitor.press(words["order"])
    visitor.expect(page).to_have_url(re.compile("/orders/ord_"))
    where = page.url.removeprefix(house.origin)
    visitor.shoot(f"purchase-2-order-{partner}")
    visitor.press(words["pay"])
    visitor.expect(page).to_have_url(re.compile(f"{house.partners.origin}/page/"))
    assert page.locator("input").count() == 0, "the page asks for something"
    visitor.shoot(f"purchase-3-partner-{partner}")
    page.locator("button[value=pay]").click()
    if partner == "wechat":  # its page does not lead back: the payer has it on a telephone
        visitor.go(where)
    visitor.expect(page).to_have_url(house.origin + where)
    for _ in range(50):
        if page.get_by_text(words["credited"]).count():
            break
        house.wait(0.1)
        visitor.go(where)
    visitor.expect(page.get_by_text(words["credited"])).to_have_count(1)
    visitor.shoot(f"purchase-4-credited-{partner}")
    return where


@pytest.mark.parametrize("partner", ("card", "alipay", "wechat", "wechat/h5"))
@pytest.mark.parametrize("language", ("en", "zh"))
@pytest.mark.parametrize("script", (True, False), ids=("with script", "without script"))
def test_a_purchase_and_its_refund(
    chromium: Browser, house: House, partner: str, language: str, script: bool
) -> None:
    name = partner.replace("/", "-")
    who = house.run(house.newcomer(f"buyer-{name}-{language}-{script}"))
    words = WORDS[language]
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        where = bought(visitor, house, partner)
        assert visitor.go("/balance") == 200
        visitor.expect(visitor.page.locator("main")).to_contain_text("12.34")
        assert visitor.hosts == {house.origin, house.partners.origin}
    clerk = house.run(house.clerk())
    with Visitor(chromium, house, clerk, language=language, script=script) as finance:
        finance.go(f"/operate{where}")
        finance.page.on("dialog", lambda dialog: dialog.accept())
        finance.page.locator("[name=amount]").fill("2.34")
        finance.page.locator("[name=reason]").fill("asked for by its owner")
        finance.shoot(f"purchase-5-refund-{name}")
        finance.press(words["refund"])
        finance.expect(finance.page.locator("h1")).to_contain_text(words["part"])
        assert finance.faults == [] and finance.hosts == {house.origin}
    with Visitor(chromium, house, who, language=language, script=script) as visitor:
        visitor.go(where)
        visitor.expect(visitor.page.locator("main")).to_contain_text("2.34 CNY")
        visitor.shoot(f"purchase-6-refunded-{name}")
        visitor.go("/balance")
        visitor.expect(visitor.page.locator("main")).to_contain_text("10.00")
        assert visitor.faults == []


def test_a_card_s_number_is_taken_nowhere_and_left_nowhere(
    chromium: Browser, house: House
) -> None:
    who = house.run(house.newcomer("careless"))
    with Visitor(chromium, house, who) as visitor:
        visitor.go("/balance")
        visitor.page.locator("[name=amount]").fill(CARD)
        visitor.press(WORDS["en"]["order"])
        visitor.expect(visitor.page.locator("main")).to_contain_text("payment card")
        assert CARD not in visitor.page.content()
    files = list(house.app.db.directory.rglob("*"))
    assert len([file for file in files if file.is_file()]) > 3
    assert cards_in(files) == []


def test_the_search_finds_cards(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x 4242424242424242, y")
    (tmp_path / "b").write_bytes(f"\x00{CARD}\x00".encode())
    (tmp_path / "c").write_bytes(b"4242424242424243 a4242424242424242 42424242424242424242")
    assert sorted(name for name, _ in cards_in(tmp_path.iterdir())) == ["a", "b"]
