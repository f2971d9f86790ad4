"""Documents as use cases: versions that stay, and what a material one sets going."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, consent, document, mail, notice
from relayd.control.document import Release
from relayd.core.account import LANGUAGES
from relayd.core.actor import SHELL
from relayd.core.consent import REQUIRED
from relayd.core.document import DOCUMENT_NAMES
from relayd.core.errors import RelayError
from relayd.store.db import Database
from tests.fakes.records import START_MS

DAY_MS = 86_400_000
SAID = {"en": "We add a thing.", "zh": "新增一项。"}
MATERIAL = Release("material", SAID, START_MS + DAY_MS, "keys", ("privacy",))


def drafts(mark: str = "one") -> dict[str, dict[str, str]]:
    return {name: {lang: f"# {name}\n\nkept\n\n{mark} {lang}\n" for lang in LANGUAGES}
            for name in DOCUMENT_NAMES}


async def test_first_versions_are_there_by_themselves(db: Database) -> None:
    assert await document.policy_version(db, START_MS) == 0
    assert await document.settle(db, drafts(), START_MS) == []  # type: ignore[arg-type]
    found = await document.listing(db, "en")
    assert [(e.name, e.version, e.kind) for e in found] == [
        (name, 1, "first") for name in sorted(DOCUMENT_NAMES)]
    assert await document.policy_version(db, START_MS) == 1
    assert await document.settle(db, drafts(), START_MS + 1) == []  # type: ignore[arg-type]
    assert len(await document.listing(db, "en")) == len(DOCUMENT_NAMES)


async def test_facts_follow_by_themselves_and_policies_wait_for_a_person(db: Database) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    later = drafts("two")
    assert await document.settle(
        db, later, START_MS + 1) == ["privacy", "terms"]  # type: ignore[arg-type]
    numbers = {e.name: e.version for e in reversed(await document.listing(db, "zh"))}
    assert numbers == {"cookies": 2, "hosting": 2, "subprocessors": 2, "privacy": 1, "terms": 1}
    for each in LANGUAGES:
        facts = await document.get(db, "cookies", 2, each)
        assert (facts.kind, facts.summary) == ("editorial", document.FACTS_CHANGED[each])
    assert await notice.listing(db) == []


async def test_G2_a_material_version_is_announced_and_takes_effect_in_its_time(
        db: Database) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    who = (await account.create(db, "ann@example.org", None, START_MS)).id
    async with db.writing() as transaction:
        await consent.register(transaction, who, REQUIRED, ("zh", "console"), START_MS)
    made = await document.publish(
        db, SHELL, "privacy", drafts("two"), MATERIAL, START_MS + 10)  # type: ignore[arg-type]
    assert (made.version, made.gate, made.items) == (2, "keys", ("privacy",))
    # the banner and the mail at once, the text and the gate when it takes effect
    [shown] = await notice.shown(db, START_MS + 10)
    assert shown.said("summary", "zh") == "新增一项。" and shown.kind == "document"
    assert shown.ends_at_ms == made.effective_at_ms + document.NOTICE_DAYS * DAY_MS
    assert await notice.queue_batch(db, "https://r.example", START_MS + 10, 9) == 1
    [out] = await mail.due(db, START_MS + 10, 9)
    assert out.letter.fields["effective"] == "2026-01-02"
    before = await document.current(db, "privacy", "en", START_MS + DAY_MS - 1)
    after = await document.current(db, "privacy", "en", START_MS + DAY_MS)
    assert (before.version, after.version) == (1, 2)
    # "Last updated" is the record's, and no one's to edit
    assert document.view(after)["effective_at"] == "2026-01-02T00:00:00.000Z"
    [found] = await consent.owing(db, who, START_MS + DAY_MS)
    assert found.edition.version == 2 and found.items == ("privacy",)


async def test_G2_what_is_announced_for_a_day_comes_into_force_by_no_other_version_before(
        db: Database) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    await document.publish(
        db, SHELL, "privacy", drafts("two"), MATERIAL, START_MS + 10)  # type: ignore[arg-type]
    made = await document.publish(
        db, SHELL, "privacy", drafts("two, spelled right"),  # type: ignore[arg-type]
        Release("editorial", {}, START_MS + 20), START_MS + 20)
    assert (made.version, made.effective_at_ms) == (3, START_MS + DAY_MS)
    now = await document.current(db, "privacy", "en", START_MS + DAY_MS - 1)
    assert now.version == 1


async def test_G1_an_editorial_version_is_published_and_no_more(db: Database) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    await document.publish(db, SHELL, "terms", drafts("two"),  # type: ignore[arg-type]
                           Release("editorial", {}, 0), START_MS + 5)
    assert await notice.listing(db) == []
    assert (await document.get(db, "terms", 1, "en")).body.endswith("one en\n")
    found = await document.compared(db, "terms", (1, 2), "zh")
    assert ("removed", "one zh") in found and ("added", "two zh") in found
    async with db.reading() as transaction:
        events = await transaction.rows(
            "SELECT details FROM audit_log WHERE action = 'document.publish' ORDER BY seq")
    assert '"kind":"editorial"' in events[-1][0]


@pytest.mark.parametrize(("name", "release", "code"), [
    ("nonsense", MATERIAL, "document_not_found"),
    ("privacy", Release("editorial", {}, 0, "keys"), "invalid_value"),
    ("privacy", Release("editorial", {}, 0, "none", ("privacy",)), "invalid_value"),
    ("privacy", replace(MATERIAL, items=("terms",)), "invalid_value"),
    ("privacy", replace(MATERIAL, items=("nonsense",)), "invalid_value"),
    ("privacy", replace(MATERIAL, summaries={"en": "x"}), "invalid_value"),
])
async def test_what_cannot_be_published(
        db: Database, name: str, release: Release, code: str) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    with pytest.raises(RelayError) as caught:
        await document.publish(
            db, SHELL, name, drafts("two"), release, START_MS)  # type: ignore[arg-type]
    assert caught.value.code == code


async def test_nothing_is_published_twice(db: Database) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    with pytest.raises(RelayError) as caught:
        await document.publish(
            db, SHELL, "privacy", drafts(), MATERIAL, START_MS)  # type: ignore[arg-type]
    assert caught.value.code == "document_state"
    with pytest.raises(RelayError):
        await document.get(db, "privacy", 2, "en")


@pytest.mark.parametrize(("gate", "items", "found"), [
    ("none", (), ("none", ())), ("keys", (), ("keys", ("privacy",))),
    ("none", ("marketing",), ("console", ("marketing",))),
])
async def test_a_gate_has_items_and_items_have_a_gate(
        db: Database, gate: str, items: tuple[str, ...], found: tuple[str, tuple[str, ...]],
) -> None:
    await document.settle(db, drafts(), START_MS)  # type: ignore[arg-type]
    release = replace(MATERIAL, gate=gate, items=items)
    made = await document.publish(
        db, SHELL, "privacy", drafts("two"), release, START_MS)  # type: ignore[arg-type]
    assert (made.gate, made.items) == found
