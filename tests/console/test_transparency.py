"""Figures for everybody: the page, both languages, and the same for programs."""

from __future__ import annotations

import pytest

from tests.console.conftest import Console


@pytest.mark.parametrize(("language", "words"), [
    ("en", ("Transparency", "190 days", "Cybersecurity Law")),
    ("zh", ("透明度报告", "190 天", "网络安全法")),
])
async def test_S3_U4_the_page_needs_no_sign_in(
    console: Console, language: str, words: tuple[str, ...]
) -> None:
    answer = await console.get(f"/legal/transparency?lang={language}")
    text = await answer.text()
    assert answer.status == 200 and all(word in text for word in words)


async def test_the_same_for_programs(console: Console) -> None:
    async with console.http.get(console.origin + "/api/v1/transparency") as answer:
        found = await answer.json()
    assert found["use"]["accounts_at_least"] == 10 and found["use"]["models"] == {}
    assert found["requests"]["court_order"] == dict.fromkeys(
        ("open", "approved", "refused", "produced", "not_held", "expired"), 0)
