"""Notices as pages: banners everywhere, answers of holders, putting up and taking down."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.control import notice
from relayd.core.actor import SHELL
from relayd.core.notice import Notice
from tests.console.conftest import NOW_MS, Console
from tests.console.letters import api, holder, material, send, settled, text_of
from tests.console.people import Person, person

DAY_MS = 86_400_000
TEXTS = {"kind": "service", "subject_en": "Work on Sunday", "subject_zh": "周日维护",
         "text_en": "We stop.\n\nThen we start.", "text_zh": "暂停。", "ends": "2d"}
TRANSFER = {"recipient": "Other Co.", "contact": "dpo@other.example",
            "purpose_en": "the same service", "purpose_zh": "相同的服务"}


async def operator(console: Console, role: Any = "legal") -> Person:
    return await person(console.db, NOW_MS, role, two_factors=True)


async def transfer(console: Console) -> Notice:
    return await notice.put_up(console.db, SHELL, "transfer", TRANSFER,
                               (NOW_MS, NOW_MS + 20 * DAY_MS), NOW_MS)


async def test_a_notice_stands_on_every_page_until_it_is_taken_down(console: Console) -> None:
    boss = await operator(console)
    answer = await send(console, boss, "/operate/notices", "/operate/notices", **TEXTS)
    assert answer.status == 303
    for path in ("/contact", "/legal", "/operate/notices"):
        assert "Work on Sunday" in await text_of(console, path, boss)
    assert "周日维护" in await text_of(console, "/contact?lang=zh")
    [made] = await notice.listing(console.db)
    page = await text_of(console, f"/notices/{made.id}")
    console.now_ms += 1
    assert "<p>We stop.</p>" in page and "<p>Then we start.</p>" in page
    answer = await send(console, boss, "/operate/notices", f"/operate/notices/{made.id}/end")
    assert answer.status == 303
    assert "Work on Sunday" not in await text_of(console, "/contact")


async def test_G2_a_material_version_is_a_banner_on_every_page(console: Console) -> None:
    await settled(console)
    who = await holder(console)
    await material(console, effective_at_ms=NOW_MS + DAY_MS)
    for path in ("/contact", "/privacy/consents", "/keys"):
        text = await text_of(console, path, who)
        assert "Privacy policy: a new version takes effect on 2027-01-16." in text
        assert "/legal/privacy/changes" in text
    [made] = await notice.listing(console.db)
    assert "A sentence more." in await text_of(console, f"/notices/{made.id}")


async def test_S5_holders_object_to_a_transfer(console: Console) -> None:
    await settled(console)
    who, made = await holder(console), await transfer(console)
    page = f"/notices/{made.id}"
    assert "Sign in to answer" in await text_of(console, page)
    assert "Other Co." in await text_of(console, page, who)
    assert (await send(console, who, page, page, answer="objected")).status == 303
    assert "You objected." in await text_of(console, page, who)
    assert await notice.answered(console.db, made.id, who.account) == "objected"
    assert (await api(console, who, "PUT", f"/api/v1/notices/{made.id}/answer",
                      {"answer": "agreed"}))[0] == 204
    console.now_ms = NOW_MS + 20 * DAY_MS
    assert "I object" not in await text_of(console, page)


@pytest.mark.parametrize(("change", "status"), [
    ({"text_zh": ""}, 400), ({"ends": "soon"}, 400), ({"kind": "document"}, 400),
    ({"kind": "transfer"}, 400), ({"more": "x"}, 422)])
async def test_what_cannot_be_put_up(
        console: Console, change: dict[str, str], status: int) -> None:
    boss = await operator(console)
    answer = await send(console, boss, "/operate/notices", "/operate/notices",
                        **(TEXTS | change))
    assert answer.status == status and await notice.listing(console.db) == []


async def test_who_may_put_up(console: Console) -> None:
    for role, status in (("owner", 201), ("legal", 201), ("support", 403)):
        who = await operator(console, role)
        assert (await api(console, who, "POST", "/api/v1/notices", TEXTS))[0] == status
    assert (await api(console, None, "POST", "/api/v1/notices", TEXTS))[0] == 401
    status, shown, _ = await api(console, None, "GET", "/api/v1/notices")
    assert status == 200 and len(shown) == 2 and shown[0]["fields"]["subject_zh"] == "周日维护"
    boss = await operator(console)
    console.now_ms += 1
    assert (await api(console, boss, "DELETE", f"/api/v1/notices/{shown[0]['id']}"))[0] == 204
    assert len((await api(console, None, "GET", "/api/v1/notices"))[1]) == 1
    assert (await api(console, boss, "DELETE", "/api/v1/notices/notice_x"))[0] == 404
