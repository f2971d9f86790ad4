"""The report: what was sent and found, without what the public should not read."""

from __future__ import annotations

import json

from relayd.core.canary import FORMS
from relayd.core.canary_report import Played, Run, Searched, canonical, copies, report, signed

PLAYED = (Played("chat", 200, True), Played("chat", 200, True), Played("left", 0, False))
CLEAN = Searched("store", 3, 900, 0, {})
FOUND = Searched("logs", 1, 10, 1, {("a.log", "han", "utf-8"): 2, ("a.log", "han", "json"): 1})


def run(*searched: Searched) -> Run:
    return Run("1.2.3", 1_800_000_000_000, 1_800_000_009_000, PLAYED, searched, "searched", True)


def test_a_clean_run() -> None:
    made = report(run(CLEAN))
    assert (made["clean"], made["found"], made["requests"], made["came_back"]) == (
        True, [], 3, 2)
    assert made["by_status"] == {"200": 2, "none": 1} and made["kinds"] == ["chat", "left"]
    assert made["searched"] == [
        {"place": "store", "files": 3, "bytes": 900, "unreadable": 0, "copies": 0}]
    assert (made["memory"], made["memory_wiped"], made["forms"]) == (
        "searched", True, list(FORMS))


def test_what_was_found() -> None:
    made = report(run(CLEAN, FOUND))
    assert made["clean"] is False and copies([CLEAN, FOUND]) == 3
    assert made["found"] == [
        {"place": "logs", "file": "a.log", "mark": "han", "form": "json", "copies": 1},
        {"place": "logs", "file": "a.log", "mark": "han", "form": "utf-8", "copies": 2}]


def test_the_document_is_canonical() -> None:
    made = report(run(FOUND))
    document = json.loads(signed(made, b"\1" * 32, b"\2" * 64))
    assert canonical(document["report"]) == canonical(made)
    assert (document["algorithm"], document["public_key"], document["signature"]) == (
        "Ed25519", "01" * 32, "02" * 64)
    assert canonical({"b": 1, "a": "安"}) == '{"a":"安","b":1}'.encode()
