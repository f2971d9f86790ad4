"""Operators and accounts: masked until somebody says why; nothing changes without a reason."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from relayd.control import account, audit, key, limit, usage
from relayd.core.abuse import Finding, Rule
from relayd.core.standing import REASONS
from relayd.store import abuse as store_abuse
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_key import api, send
from tests.fakes.records import call_record

API = "/api/v1/operate/accounts"


async def found(console: Console) -> tuple[Person, Person]:
    """An operator of support, security and legal, and somebody."""
    who = await person(console.db, NOW_MS, "support", "security", "legal", name="operator",
                       two_factors=True)
    return who, await person(console.db, NOW_MS, name="marker")


async def test_an_account_is_found_by_its_id_or_whole_address(console: Console) -> None:
    who, other = await found(console)
    for text in (other.account, other.email, f" {other.email.upper()} "):
        answer = await send(console, who, "/operate/accounts", who=text)
        assert (answer.status, answer.headers["Location"]) == (
            303, f"/operate/accounts/{other.account}")
        status, shown = await api(console, who, "POST", f"{API}/find", {"who": text})
        assert (status, shown["id"]) == (200, other.account)
    for text in ("marker", "marker@", "acct_none", "@example.org"):
        answer = await send(console, who, "/operate/accounts", who=text)
        assert answer.status == 404 and 'role="alert"' in await answer.text()
        assert (await api(console, who, "POST", f"{API}/find", {"who": text}))[0] == 404
    # never by a link: an address must not be in any
    assert (await console.get(f"/operate/accounts/{other.email}",
                              cookies=who.cookies)).status == 404


async def test_D3_the_address_is_masked_until_somebody_says_why(console: Console) -> None:
    who, other = await found(console)
    path = f"/operate/accounts/{other.account}"
    text = await (await console.get(path, cookies=who.cookies)).text()
    assert other.email not in text and "m***@e***" in text
    answer = await send(console, who, f"{path}/reveal", reason=" ")
    assert answer.status == 400 and other.email not in await answer.text()
    answer = await send(console, who, f"{path}/reveal", reason="ticket 5")
    assert answer.status == 303
    assert other.email in await (await console.get(path, cookies=who.cookies)).text()
    _, shown = await api(console, who, "GET", f"{API}/{other.account}")
    assert shown["email"] == other.email
    console.now_ms += 15 * 60_000
    assert other.email not in await (await console.get(path, cookies=who.cookies)).text()
    [event] = [entry.event async for entry in audit.listing(console.db, target=other.account)
               if entry.event.action == "personal.look"]
    assert event.actor == who.account and event.reason is not None


async def test_it_shows_what_rules_against_abuse_found(console: Console) -> None:
    who, other = await found(console)
    async with console.db.writing() as transaction:
        for n, rule in enumerate(get_args(Rule)):
            await store_abuse.insert(transaction, Finding(
                f"find_{n}", other.account, rule, NOW_MS, 4000, 2000, False))
    for language, said in (("en", "4,000 calls in an hour (bound: 2,000)"),
                           ("zh", "一小时内 4,000 次调用")):
        text = await (await console.get(
            f"/operate/accounts/{other.account}?lang={language}", cookies=who.cookies)).text()
        assert said in text


async def test_it_shows_how_an_account_stands(console: Console) -> None:
    who, other = await found(console)
    await key.create(console.db, other.account, key.KeyWish("secret name"), NOW_MS)
    await limit.change(console.db, "account", other.account,
                       {"concurrent": "7", "daily_budget": "50"}, NOW_MS)
    await usage.post(console.db, [call_record(
        account=other.account, started_at_ms=NOW_MS, amount_nano=5 * 10 ** 9)])
    text = await (await console.get(
        f"/operate/accounts/{other.account}", cookies=who.cookies)).text()
    assert "Calls at once: 7; Budget a day: 50.00" in text and "Calls: 1, 5.00 USD" in text
    assert "secret name" not in text
    _, shown = await api(console, who, "GET", f"{API}/{other.account}")
    assert (shown["keys"], shown["limits"], shown["used"][0]["amount"]) == (
        1, {"concurrent": 7, "daily_budget": 50 * 10 ** 9}, "5.00")


@pytest.mark.parametrize("reason", REASONS)
async def test_suspending_takes_a_reason_and_tells(console: Console, reason: str) -> None:
    who, other = await found(console)
    path = f"/operate/accounts/{other.account}"
    answer = await send(console, who, f"{path}/suspend", reason=reason, words=" ")
    assert answer.status == 400
    assert (await account.find(console.db, other.account)).state == "active"
    answer = await send(console, who, f"{path}/suspend", reason=reason, words="as seen")
    assert answer.status == 303
    stands = await account.find(console.db, other.account)
    assert (stands.state, stands.reason) == ("suspended", reason)
    answer = await send(console, who, f"{path}/resume")
    assert answer.status == 303
    assert (await account.find(console.db, other.account)).state == "active"


async def test_terminating_is_for_good(console: Console) -> None:
    who, other = await found(console)
    body = {"reason": "terms", "words": "again and again"}
    status, shown = await api(console, who, "POST", f"{API}/{other.account}/terminate", body)
    assert (status, shown["state"], shown["reason"]) == (200, "terminated", "terms")
    status, shown = await api(console, who, "POST", f"{API}/{other.account}/resume")
    assert (status, shown["error"]["code"]) == (409, "account_state")
    text = await (await console.get(
        f"/operate/accounts/{other.account}", cookies=who.cookies)).text()
    assert "/suspend" not in text and "/resume" not in text
    answer = await send(console, who, f"/operate/accounts/{other.account}/resume")
    assert answer.status == 409


async def test_programs_suspend_and_resume_and_look(console: Console) -> None:
    who, other = await found(console)
    one = f"{API}/{other.account}"
    status, shown = await api(console, who, "POST", f"{one}/suspend", {
        "reason": "abuse", "words": "many calls"})
    assert (status, shown["state"]) == (200, "suspended")
    status, shown = await api(console, who, "POST", f"{one}/resume")
    assert (status, shown["state"]) == (200, "active")
    status, shown = await api(console, who, "POST", f"{one}/reveal", {"reason": "ticket"})
    assert status == 200 and shown["until"] == "2027-01-15T08:15:00.000Z"
    status, shown = await api(console, who, "POST", f"{one}/suspend", {
        "reason": "mood", "words": "x"})
    assert (status, shown["error"]["code"]) == (422, "invalid_form")


@pytest.mark.parametrize(("role", "step", "status"), (
    ("support", "suspend", 200), ("support", "terminate", 403), ("legal", "suspend", 403),
    ("legal", "terminate", 200), ("finance", "", 403), ("owner", "", 403)))
async def test_D3_each_role_may_do_its_own(
    console: Console, role: Any, step: str, status: int
) -> None:
    who = await person(console.db, NOW_MS, role, two_factors=True)
    other = await person(console.db, NOW_MS)
    path, method, body = f"{API}/{other.account}", "GET", None
    if step:
        path, method, body = f"{path}/{step}", "POST", {"reason": "abuse", "words": "x"}
    got, shown = await api(console, who, method, path, body)
    assert got == status


async def test_D3_an_operator_s_account_is_not_moved_by_support(console: Console) -> None:
    support = await person(console.db, NOW_MS, "support", name="support", two_factors=True)
    for role, code in (("owner", "operator_account"), ("finance", "operator_account")):
        other = await person(console.db, NOW_MS, role, name=role)
        path = f"/operate/accounts/{other.account}"
        text = await (await console.get(path, cookies=support.cookies)).text()
        assert "/suspend" not in text and "only security may do this" in text
        assert "/reveal" in text
        answer = await send(console, support, f"{path}/suspend", reason="other", words="a quarrel")
        assert answer.status == 403 and 'role="alert"' in await answer.text()
        status, said = await api(console, support, "POST", f"{API}/{other.account}/suspend", {
            "reason": "other", "words": "a quarrel"})
        assert (status, said["error"]["code"]) == (403, code)
        assert (await account.find(console.db, other.account)).state == "active"
    status, said = await api(console, support, "POST", f"{API}/{support.account}/suspend", {
        "reason": "other", "words": "holidays"})
    assert (status, said["error"]["code"]) == (403, "own_account")
    text = await (await console.get(
        f"/operate/accounts/{support.account}?lang=zh", cookies=support.cookies)).text()
    assert "/suspend" not in text and "您本人的账户" in text
