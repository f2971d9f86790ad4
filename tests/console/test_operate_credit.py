"""Credit, codes and lines: given with a reason and a proof, seen by the owner, taken back."""

from __future__ import annotations

import re

import pytest

from relayd.control import audit, grant, posting, usage, wallet
from tests.console.asking import api, send, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.fakes.records import call_record

PAGE = "/operate/credit"
API = "/api/v1/operate/credit"
CODE = re.compile(r"relayd-[0-9A-Za-z]{22}")


@pytest.fixture
async def finance(console: Console) -> Person:
    return await person(console.db, NOW_MS, "finance", name="finance", two_factors=True)


async def reasons(console: Console, action: str) -> list[str | None]:
    return [entry.reason async for entry in audit.listing(console.db)
            if entry.event.action == action]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_credit_by_pages(console: Console, finance: Person, language: str) -> None:
    who = await person(console.db, NOW_MS)
    form = f"{PAGE}/grants"
    given = {"account": who.account, "amount": "5", "currency": "USD", "reason": "an outage"}
    await text(console, finance, f"{form}?lang={language}")
    for wrong, status in (({"amount": "x"}, 400), ({"currency": "usd"}, 400),
                          ({"reason": ""}, 400), ({"until": "2001-01-01"}, 400),
                          ({"account": "acct_nobody"}, 404)):
        answer = await send(console, finance, form, form, **{**given, **wrong})
        assert answer.status == status, wrong
    answer = await send(console, finance, form, form, until="30d", **given)
    assert (answer.status, answer.headers["Location"]) == (303, PAGE)
    assert await reasons(console, "credit.grant") == ["an outage"]
    shown = await text(console, finance, f"{PAGE}?lang={language}")
    assert who.account in shown and "5.00 USD" in shown
    [made] = await grant.listing(console.db, who.account)
    # what was used is paid from it before it is taken back
    await usage.post(console.db, [call_record(
        account=who.account, started_at_ms=NOW_MS, amount_nano=10 ** 9)])
    answer = await send(console, finance, PAGE, f"{PAGE}/grants/{made.id}/end", reason="wrong")
    assert answer.status == 303 and await reasons(console, "credit.end") == ["wrong"]
    assert [each.left_nano for each in await grant.listing(console.db, who.account)] == [0]
    assert (await send(console, finance, PAGE, f"{PAGE}/grants/{made.id}/end",
                       reason="again")).status == 404
    [left] = await posting.balances(console.db, who.account)
    assert (left.balance, left.promo) == (0, 0) and await posting.verify(console.db) == []


async def test_a_code_s_text_is_told_once(console: Console, finance: Person) -> None:
    form = f"{PAGE}/codes"
    answer = await send(console, finance, form, form, amount="5", currency="USD", uses="2")
    said = await answer.text()
    code = CODE.search(said)
    assert answer.status == 201 and code is not None
    shown = await text(console, finance, PAGE)
    assert code[0] not in shown and CODE.search(shown) is None
    who = await person(console.db, NOW_MS)
    assert (await api(console, who, "POST", "/api/v1/credit", {"code": code[0]}))[0] == 201
    [made] = await grant.codes(console.db)
    assert (await send(console, finance, PAGE, f"{form}/{made.id}/end")).status == 303
    other = await person(console.db, NOW_MS, name="other")
    assert (await api(console, other, "POST", "/api/v1/credit", {"code": code[0]}))[0] == 404
    assert (await send(console, finance, PAGE, f"{form}/code_x/end")).status == 404
    for wrong in ({"uses": "0"}, {"uses": "x"}, {"days": "0"}, {"amount": "0"}):
        answer = await send(console, finance, form, form, **{
            "amount": "5", "currency": "USD", "uses": "2", **wrong})
        assert answer.status in (400, 422), wrong


async def test_a_credit_line(console: Console, finance: Person) -> None:
    who = await person(console.db, NOW_MS)
    form = f"{PAGE}/lines"
    answer = await send(console, finance, form, form, account=who.account, amount="7.50",
                        currency="USD")
    assert answer.status == 303 and "7.50 USD" in await text(console, finance, PAGE)
    assert [each.credit_nano for each in await wallet.money(console.db, who.account)] == [
        7_500_000_000]
    status, lines = await api(console, finance, "PUT", f"{API}/lines", {
        "account": who.account, "amount": "0", "currency": "USD"})
    assert (status, lines) == (200, [])


async def test_for_programs(console: Console, finance: Person) -> None:
    who = await person(console.db, NOW_MS)
    status, made = await api(console, finance, "POST", f"{API}/grants", {
        "account": who.account, "amount": "5", "currency": "USD", "reason": "x"})
    assert status == 201 and made["account"] == who.account
    assert await api(console, finance, "GET", f"{API}/grants") == (200, [made])
    status, ended = await api(
        console, finance, "POST", f"{API}/grants/{made['id']}/end", {"reason": "y"})
    assert (status, ended[0]["left"]) == (200, "0.00")
    status, said = await api(console, finance, "POST", f"{API}/codes", {
        "amount": "1", "currency": "USD"})
    assert status == 201 and CODE.fullmatch(said["text"])
    status, codes = await api(console, finance, "GET", f"{API}/codes")
    assert status == 200 and codes == [said["code"]]
    status, codes = await api(
        console, finance, "POST", f"{API}/codes/{said['code']['id']}/end")
    assert codes[0]["uses_left"] == 0


async def test_the_owner_sees_and_gives_nothing(console: Console) -> None:
    owner = await person(console.db, NOW_MS, "owner", name="owner", two_factors=True)
    assert "/operate/credit/grants" not in await text(console, owner, PAGE)
    assert (await api(console, owner, "GET", f"{API}/lines"))[0] == 200
    wish = {"account": owner.account, "amount": "5", "currency": "USD", "reason": "x"}
    for method, path in (("POST", "grants"), ("POST", "codes"), ("PUT", "lines")):
        assert (await api(console, owner, method, f"{API}/{path}", wish))[0] == 403
    support = await person(console.db, NOW_MS, "support", name="support", two_factors=True)
    assert (await console.get(PAGE, cookies=support.cookies)).status == 403


async def test_finance_credits_itself_in_no_way(console: Console, finance: Person) -> None:
    own = {"account": finance.account, "amount": "5", "currency": "USD"}
    form = f"{PAGE}/grants"
    for account in (finance.account, finance.email):
        answer = await send(console, finance, form, form,
                            **{**own, "account": account, "reason": "well earned"})
        assert answer.status == 403 and "about your own account" in await answer.text()
    answer = await send(console, finance, f"{PAGE}/lines", f"{PAGE}/lines", **own)
    assert answer.status == 403
    code = (await api(console, finance, "POST", f"{API}/codes", {
        "amount": "5", "currency": "USD"}))[1]["text"]
    for method, path, body in (
            ("POST", f"{API}/grants", {**own, "reason": "well earned"}),
            ("PUT", f"{API}/lines", own), ("POST", "/api/v1/credit", {"code": code})):
        status, said = await api(console, finance, method, path, body)
        assert (status, said["error"]["code"]) == (403, "own_account")
    assert (await send(console, finance, "/credit", "/credit", code=code)).status == 403
    assert await grant.listing(console.db, finance.account) == []
    assert await posting.balances(console.db, finance.account) == []
    assert len(await reasons(console, "conflict.refuse")) == 7
