"""Leaving mail by the link that is in it (RFC 8058)."""

from __future__ import annotations

from relayd.control import consent
from relayd.control.mail import UNSUBSCRIBE_LABEL
from relayd.core.mail import unsubscribe_token
from relayd.store.secret import derived
from tests.console.conftest import NOW_MS, Console
from tests.console.letters import holder, settled, text_of


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
