"""The desk: from the queue to the issued file and the red letter, on pages and for programs."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import FormData

from relayd.console import operate_fapiao, texts
from relayd.console.services import Services
from relayd.control import audit, fapiao
from relayd.control.fapiao import Offer, Wish
from relayd.control.issuer import ByHand
from relayd.core.account import Language
from relayd.core.actor import SHELL
from relayd.core.fapiao import FILE_BYTES_MAX, Fapiao
from relayd.core.issued import wanted
from relayd.ops.config_invoices import InvoicesConfig
from relayd.wire.fapiao import write_xml
from tests.console.conftest import NOW_MS
from tests.console.paying import Shop, shop
from tests.console.people import Person, person
from tests.console.test_invoice import OPERATOR, SELLER
from tests.console.test_operate_order import CSRF, api, paid, send

__all__ = ["shop"]


@pytest.fixture
async def finance(shop: Shop) -> Person:
    return await person(shop.console.db, NOW_MS, "finance", name="finance", two_factors=True)


@pytest.fixture
async def made(shop: Shop) -> Fapiao:
    shop.console.config = replace(
        shop.console.config, operator=OPERATOR,
        invoices=InvoicesConfig(vat_rate=600, fapiao="manual"))
    order = await paid(shop)
    return await fapiao.apply(shop.console.db, SHELL, shop.who.account, Wish(
        (order,), title="王小明"), Offer(SELLER, 360), NOW_MS)


def xml(made: Fapiao, number: str, blue: Fapiao | None = None) -> bytes:
    return write_xml(wanted(made, SELLER.block(), blue)._replace(
        number=number, issued_on="2026-11-29"))


async def upload(
    shop: Shop, who: Person, where: str, *files: bytes, language: Language = "en"
) -> Any:
    """As the form does it: the token first, then the files."""
    page = await (await shop.console.get(where, cookies=who.cookies)).text()
    token = CSRF.search(page)
    assert token is not None
    form = FormData({"csrf": token[1]}, default_to_multipart=True)
    for content in files:
        form.add_field("files", io.BytesIO(content), filename="dzfp_22.xml")
    return await shop.console.post(
        f"{where}/import", form, cookies={**who.cookies, "rd_lang": language})


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pages(shop: Shop, finance: Person, made: Fapiao, language: str) -> None:
    where = f"/operate/fapiao/{made.id}"
    page = await shop.console.get(f"/operate/fapiao?lang={language}", cookies=finance.cookies)
    text = await page.text()
    assert made.id in text and "王小明" not in text
    text = await (await shop.console.get(f"{where}?lang={language}",
                                         cookies=finance.cookies)).text()
    assert "王小明" in text and ("Take it up" if language == "en" else "受理") in text
    assert (await send(shop, finance, where, f"{where}/take")).status == 303
    answer = await send(shop, finance, "/operate/fapiao", "/operate/fapiao/export")
    assert made.id in await answer.text() and "attachment" in answer.headers[
        "Content-Disposition"]
    assert (await send(shop, finance, where, f"{where}/send")).status == 303
    answer = await upload(shop, finance, where, xml(made, "2" * 20))
    assert answer.status == 303
    answer = await shop.console.get(f"/fapiao/{made.id}/file/xml", cookies=shop.who.cookies)
    assert answer.status == 200 and "王小明" in await answer.text()
    text = await (await shop.console.get(where, cookies=finance.cookies)).text()
    assert "2" * 20 in text and "/reverse" in text
    answer = await send(shop, finance, where, f"{where}/reverse", amount="2.34", reason="03")
    red = answer.headers["Location"]
    text = await (await shop.console.get(f"{red}?lang={language}", cookies=finance.cookies)).text()
    assert ("service ended" if language == "en" else "服务中止") in text
    answer = await send(shop, finance, red, f"{red}/confirm", confirmation="3" * 20)
    assert answer.status == 303
    assert (await send(shop, finance, red, f"{red}/reject")).status == 303
    looks = [entry.event.action async for entry in audit.listing(
        shop.console.db, target=shop.who.account)]
    assert "fapiao.look" in looks and "fapiao.import" in looks


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_is_wrong_with_a_file_stands_in_the_form(
    shop: Shop, finance: Person, made: Fapiao, language: Language
) -> None:
    where = f"/operate/fapiao/{made.id}"
    for step in ("take", "send"):
        await send(shop, finance, where, f"{where}/{step}")
    right, wrong = xml(made, "2" * 20), xml(replace(made, amount_minor=1), "2" * 20)
    for files, what in (
            ((wrong,), "net_minor"), ((), "file"), ((right, right), "twice"),
            ((right,) * 4, "count"), ((b"<" + b" " * FILE_BYTES_MAX,), "size"),
            ((b"GIF89a",), "format"), ((b"<x",), "xml"), ((b"PK\x03\x04",), "ofd"),
            ((right, b"%PDF-1"), "pdf")):
        answer = await upload(shop, finance, where, *files, language=language)
        text = await answer.text()
        assert (answer.status, texts.text(language, f"fapiao.what_{what}") in text) == (
            422, True), what
        assert 'aria-invalid="true"' in text and "multipart/form-data" in text
    # nothing of all that was kept
    assert (await fapiao.own(shop.console.db, shop.who.account, made.id)).state == "issuing"


async def test_all_files_are_kept_or_none(shop: Shop, finance: Person, made: Fapiao) -> None:
    where = f"/operate/fapiao/{made.id}"
    for step in ("take", "send"):
        await send(shop, finance, where, f"{where}/{step}")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("Doc_0/Attachs/original_invoice.xml", xml(made, "3" * 20))
    answer = await upload(shop, finance, where, xml(made, "2" * 20), out.getvalue())
    assert answer.status == 422 and "the number" in await answer.text()
    assert (await fapiao.own(shop.console.db, shop.who.account, made.id)).state == "issuing"
    answer = await upload(shop, finance, where, xml(made, "3" * 20), out.getvalue())
    assert answer.status == 303
    for kind in ("xml", "ofd"):
        answer = await shop.console.get(
            f"/fapiao/{made.id}/file/{kind}", cookies=shop.who.cookies)
        assert answer.status == 200
    assert (await upload(shop, finance, where, b"")).status == 422


async def test_older_ones_are_in_the_same_state(
    shop: Shop, finance: Person, made: Fapiao, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate_fapiao, "PAGE", 1)
    page = await shop.console.get("/operate/fapiao?state=submitted", cookies=finance.cookies)
    text = await page.text()
    assert f"/operate/fapiao?state=submitted&amp;before={made.id}" in text
    assert '<option value="submitted" selected>' in text


async def test_a_form_of_nobody_elses(shop: Shop, finance: Person, made: Fapiao) -> None:
    where = f"/operate/fapiao/{made.id}"
    for step in ("take", "send"):
        await send(shop, finance, where, f"{where}/{step}")
    form = FormData({"csrf": "0" * 32}, default_to_multipart=True)
    form.add_field("files", xml(made, "2" * 20), filename="x")
    answer = await shop.console.post(f"{where}/import", form, cookies=finance.cookies)
    assert answer.status == 403
    form = FormData({"csrf": "0" * 32}, default_to_multipart=True)
    form.add_field("files", xml(made, "2" * 20), filename="x")
    answer = await shop.console.post(f"{where}/import", form, cookies=shop.who.cookies)
    assert answer.status == 403
    assert (await send(shop, finance, where, f"{where}/import", files="PHgvPg==")).status == 415


async def test_for_programs(shop: Shop, finance: Person, made: Fapiao) -> None:
    at = f"/api/v1/operate/fapiao/{made.id}"

    async def ask(path: str, body: Any = None, who: Person = finance) -> tuple[int, Any]:
        return await api(shop, who, "POST", path, body or {})

    status, [listed] = await api(shop, finance, "GET", "/api/v1/operate/fapiao?state=submitted")
    assert status == 200 and listed["account"] == shop.who.account
    assert (await api(shop, finance, "GET", at))[1]["buyer"] == {"name": "王小明"}
    assert (await ask(f"{at}/reject", {"reason": "x"}))[0] == 400
    assert (await ask(f"{at}/take"))[1]["state"] == "reviewing"
    assert (await ask(f"{at}/send"))[1]["state"] == "issuing"
    assert (await ask(f"{at}/file", {"file": "!"}))[0] == 422
    content = base64.b64encode(xml(made, "2" * 20)).decode()
    status, found = await ask(f"{at}/file", {"file": content})
    assert (found["state"], found["number"], found["files"]) == ("issued", "2" * 20, ["xml"])
    assert (await ask(f"{at}/red", {"amount": "12.35", "reason": "01"}))[0] == 422
    status, red = await ask(f"{at}/red", {"amount": "12.34", "reason": "01"})
    assert status == 201 and red["amount"] == "-12.34"
    there = f"/api/v1/operate/fapiao/{red['id']}"
    status, found = await ask(f"{there}/confirm", {"confirmation": "3" * 20})
    assert found["state"] == "red_confirming"
    assert (await ask(f"{at}/take", who=shop.who))[0] == 403


def test_by_hand_where_nobody_else_issues() -> None:
    assert Services.__dataclass_fields__["issuer"].default is ByHand
