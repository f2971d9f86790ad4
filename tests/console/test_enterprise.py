"""Companies: marked by who minds the money; a person's account stores no company's fields (I4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_operate_invoice import send

NAME, USCC, BANK = "买方(北京)科技有限公司", "9144030071526726XG", "4242424242424242"
PROFILE = {"name": NAME, "uscc": USCC, "bank": "某银行", "bank_account": BANK}


async def ask(console: Console, who: Person, method: str, path: str, body: Any = None) -> Any:
    async with console.http.request(method, f"{console.origin}/api/v1{path}", json=body,
                                    headers=who.bearer) as answer:
        return answer.status, await answer.json() if answer.status != 204 else None


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_I4_pages(console: Console, language: str) -> None:
    finance = await person(console.db, NOW_MS, "finance", name="finance", two_factors=True)
    who = await person(console.db, NOW_MS)
    page = await console.get(f"/enterprise?lang={language}", cookies=who.cookies)
    assert ("mark it so" if language == "en" else "个人账户") in await page.text()
    answer = await send(console, who, "/settings", "/enterprise", **PROFILE)
    assert answer.status == 409
    answer = await send(console, finance, "/operate/fapiao", "/operate/enterprises",
                        account=who.account, company="on")
    assert answer.status == 303
    answer = await send(console, who, "/enterprise", "/enterprise",
                        **{**PROFILE, "uscc": "9144030071526726XH"})
    assert answer.status == 422 and NAME in await answer.text()
    assert (await send(console, who, "/enterprise", "/enterprise", **PROFILE)).status == 303
    text = await (await console.get("/enterprise", cookies=who.cookies)).text()
    assert "买方（北京）科技有限公司" in text and BANK in text
    raw = b"".join(path.read_bytes() for path in console.db.directory.iterdir()
                   if path.is_file())
    assert BANK.encode() not in raw and "科技有限公司".encode() not in raw
    assert "/enterprise/remove" in text
    assert (await send(console, who, "/enterprise", "/enterprise/remove")).status == 303
    text = await (await console.get("/enterprise", cookies=who.cookies)).text()
    assert "/enterprise/remove" not in text
    assert await ask(console, who, "GET", "/enterprise") == (
        200, {"marked": True, "profile": None})


async def test_for_programs(console: Console) -> None:
    finance = await person(console.db, NOW_MS, "finance", name="finance", two_factors=True)
    who = await person(console.db, NOW_MS)
    assert (await ask(console, who, "PUT", "/enterprise", PROFILE))[0] == 409
    status, _ = await ask(console, finance, "POST", "/operate/enterprises",
                          {"account": who.account, "company": True})
    assert status == 204
    status, made = await ask(console, who, "PUT", "/enterprise", PROFILE)
    assert status == 200 and made["profile"]["uscc"] == USCC
    assert (await ask(console, who, "PUT", "/enterprise", {**PROFILE, "uscc": "1"}))[0] == 422
    # a card's number has no place in any other field
    assert (await ask(console, who, "PUT", "/enterprise", {**PROFILE, "name": BANK}))[0] == 422
    await ask(console, finance, "POST", "/operate/enterprises",
              {"account": who.account, "company": False})
    assert await ask(console, who, "GET", "/enterprise") == (
        200, {"marked": False, "profile": None})
    assert (await ask(console, who, "POST", "/operate/enterprises", {}))[0] == 403
