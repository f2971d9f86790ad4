"""Documents as pages: every version, what changed, cookies as they are."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from relayd.console import cookie
from relayd.core.document import DOCUMENT_NAMES, digest
from relayd.core.operator import Hosting, Operator
from tests.console.conftest import Console
from tests.console.letters import api, holder, material, settled, text_of
from tests.console.people import person

OPERATOR = Operator(name="Example Ltd", name_zh="示例公司", address="1 Street", icp="粤ICP备1号",
                    contact="hello@example.org", court="a court")


@pytest.fixture(autouse=True)
async def published(console: Console) -> None:
    console.config = replace(console.config, operator=OPERATOR)
    await settled(console)


@pytest.mark.parametrize("name", DOCUMENT_NAMES)
@pytest.mark.parametrize(("language", "word"), [("en", "Last updated"), ("zh", "最后更新")])
async def test_O1_every_document_is_served_in_both_languages(
        console: Console, name: str, language: str, word: str) -> None:
    text = await text_of(console, f"/legal/{name}?lang={language}")
    assert word in text and "2027-01-15" in text and text.count("<h1>") == 1
    index = await text_of(console, f"/legal?lang={language}")
    assert f"/legal/{name}" in index


async def test_C1_every_page_names_the_operator_and_links_the_documents(console: Console) -> None:
    for path in ("/legal", "/contact", "/legal/hosting"):
        text = await text_of(console, path)
        assert "Operated by Example Ltd" in text and "粤ICP备1号" in text
        for link in ("/legal/privacy", "/legal/terms", "/legal/cookies", "/contact"):
            assert f'href="{link}"' in text
    assert "运营者：示例公司" in await text_of(console, "/contact?lang=zh")


async def test_T1_the_hosting_page_shows_what_is_declared(console: Console) -> None:
    assert "has not declared" in await text_of(console, "/legal/hosting")
    hosting = Hosting("Cloud", "cn-south", ("ISO/IEC 27001",), "2026-01-31")
    console.config = replace(console.config, operator=replace(OPERATOR, hosting=hosting))
    await settled(console)
    text = await text_of(console, "/legal/hosting")
    assert "with Cloud, in cn-south, since 2026-01-31." in text and "ISO/IEC 27001" in text


async def test_G1_old_versions_stay_and_what_changed_is_shown(console: Console) -> None:
    await material(console)
    new, old = await text_of(console, "/legal/privacy"), await text_of(
        console, "/legal/privacy?version=1")
    assert "A new sentence." in new and "A new sentence." not in old
    assert "This version is not in force." in old
    changes = await text_of(console, "/legal/privacy/changes")
    assert re.search(r"<ins>.*A new sentence\.</ins>", changes) and "A sentence more." in changes
    assert "<del>" not in changes
    assert "The text is the same" not in changes
    back = await text_of(console, "/legal/privacy/changes?before=2&after=1")
    assert re.search(r"<del>.*A new sentence\.</del>", back)
    assert "one version so far" in await text_of(console, "/legal/terms/changes")


@pytest.mark.parametrize("path", [
    "/legal/nonsense", "/legal/privacy?version=9", "/legal/privacy/changes?before=7&after=8",
    "/legal/nonsense/changes"])
async def test_what_is_not_there(console: Console, path: str) -> None:
    answer = await console.get(path)
    assert answer.status == 404 and "document_not_found" in await answer.text()


async def test_K4_the_cookie_page_is_what_the_console_sets(console: Console) -> None:
    text = await text_of(console, "/legal/cookies")
    rows = re.findall(r'<th scope="row">(rd_\w+)</th>', text)
    assert rows == [each.name for each in cookie.COOKIES]
    for each in cookie.COOKIES:
        assert f"{each.days} days" in text
    # and the console sets no other, with these lives and flags
    answer = await console.post("/preferences", {"language": "zh", "theme": "dark", "next": "/"})
    found = {morsel.key: morsel for morsel in answer.cookies.values()}
    assert set(found) == {"rd_lang", "rd_theme"} <= set(rows)
    assert {m["max-age"] for m in found.values()} == {str(365 * 86_400)}


async def test_K4_the_button_clears_them_all(console: Console) -> None:
    await console.post("/preferences", {"language": "zh", "next": "/"})
    answer = await console.post("/cookies/clear")
    assert answer.status == 303
    assert {m.key for m in answer.cookies.values() if m["max-age"] == "0"} == {
        each.name for each in cookie.COOKIES}
    assert len(console.http.cookie_jar) == 0


async def test_K3_there_is_no_cookie_banner_while_all_are_essential(console: Console) -> None:
    assert {each.kind for each in cookie.COOKIES} <= {"session", "preference"}
    assert 'class="banner' not in await text_of(console, "/legal/terms")


async def test_K5_documents_are_read_without_cookies(console: Console) -> None:
    async with console.browser() as other:
        async with other.get(f"{console.origin}/legal/privacy") as answer:
            assert answer.status == 200 and not answer.cookies


async def test_the_api_gives_texts_and_their_hashes(console: Console) -> None:
    status, found, _ = await api(console, None, "GET", "/api/v1/documents")
    assert status == 200 and {each["document"] for each in found} == set(DOCUMENT_NAMES)
    status, found, _ = await api(console, None, "GET", "/api/v1/documents/privacy?language=zh")
    assert status == 200 and found["text"].startswith("# 隐私政策")
    assert found["version"]["sha256"] == digest(found["text"])
    assert (await api(console, None, "GET", "/api/v1/documents/privacy?version=2"))[0] == 404
    for version in ("9" * 20, "-1"):
        path = f"/api/v1/documents/privacy?version={version}"
        assert (await api(console, None, "GET", path))[0] == 422


async def test_G2_answers_to_programs_name_the_policy_in_force(console: Console) -> None:
    who = await holder(console)
    assert (await api(console, who, "GET", "/api/v1/keys"))[2]["Relay-Policy-Version"] == "1"
    await material(console, gate="none", items=())
    assert (await api(console, who, "GET", "/api/v1/keys"))[2]["Relay-Policy-Version"] == "2"


async def test_operators_see_them_too(console: Console) -> None:
    who = await person(console.db, console.now_ms, "owner", two_factors=True)
    assert "Privacy policy" in await text_of(console, "/legal/privacy", who)
