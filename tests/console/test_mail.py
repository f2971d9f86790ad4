"""Leaving mail by the link that is in it (RFC 8058)."""

from __future__ import annotations

from relayd.control import consent, mail
from relayd.control.mail import UNSUBSCRIBE_LABEL
from relayd.core.mail import unsubscribe_token
from relayd.ops.smtp import OUTCOMES
from relayd.store.secret import derived
from tests.console.conftest import NOW_MS, Console
from tests.console.letters import api, holder, send, settled, text_of
from tests.console.people import person


async def test_U7_one_click_works_without_a_sign_in_and_asking_changes_nothing(
        console: Console) -> None:
    await settled(console)
    who = await holder(console, "marketing", "product")
    token = unsubscribe_token(
        derived(console.db.secret, UNSUBSCRIBE_LABEL), who.account, "marketing")
    path = f"/unsubscribe?token={token}"
    text = await text_of(console, path)
    assert "Shall marketing mail stop?" in text

    async def holds(item: str) -> bool:
        async with console.db.reading() as transaction:
            return await consent.consented(transaction, who.account, item, NOW_MS)

    assert await holds("marketing")
    # as a mail program does it: no cookie, no Origin, the body that RFC 8058 names
    async with console.browser() as other:
        async with other.post(console.origin + path, data={"List-Unsubscribe": "One-Click"},
                              allow_redirects=False) as answer:
            assert answer.status == 200 and not answer.cookies
            assert "You get no more marketing mail." in await answer.text()
    assert not await holds("marketing") and await holds("product")
    # and from the page, a second time, in Chinese
    answer = await console.post(path + "&lang=zh")
    assert answer.status == 200 and "您将不再收到营销邮件" in await answer.text()


async def test_a_forged_link_does_nothing(console: Console) -> None:
    for path in ("/unsubscribe", "/unsubscribe?token=x.y"):
        assert (await console.get(path)).status == 410
        assert (await console.post(path)).status == 410


async def test_operators_see_what_was_not_sent_and_nothing_of_what_it_says(
        console: Console) -> None:
    boss = await person(console.db, NOW_MS, "support", two_factors=True)
    assert "Everything was sent." in await text_of(console, "/operate/mail", boss)
    who = await person(console.db, NOW_MS, name="quokka")
    async with console.db.writing() as transaction:
        made = await mail.post(transaction, "verify_email", who.account,
                               {"link": "https://wombat.example", "minutes": "30"}, NOW_MS)
    for outcome in OUTCOMES:
        console.now_ms += 86_400_000 // 4
        await mail.retry(console.db, made, console.now_ms)
        [out] = await mail.due(console.db, console.now_ms, 9)
        await mail.failed(console.db, out.mail, outcome, console.now_ms)
        for language in ("en", "zh"):
            text = await text_of(console, f"/operate/mail?lang={language}", boss)
            assert "verify_email" in text and who.account in text
            assert "quokka" not in text and "wombat" not in text
    answer = await send(console, boss, "/operate/mail", f"/operate/mail/{made}/retry")
    assert answer.status == 303 and len(await mail.due(console.db, console.now_ms, 9)) == 1
    status, found, _ = await api(console, boss, "GET", "/api/v1/mails")
    assert status == 200 and found[0]["kind"] == "verify_email" and "quokka" not in str(found)
    assert (await api(console, boss, "POST", f"/api/v1/mails/{made}/retry"))[0] == 204
    assert (await api(console, boss, "POST", "/api/v1/mails/mail_x/retry"))[0] == 404
    other = await person(console.db, console.now_ms)
    assert (await api(console, other, "GET", "/api/v1/mails"))[0] == 403
