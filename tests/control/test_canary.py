"""Canary reports: signed by the store's key, published, and in the audit log."""

from __future__ import annotations

import json

from relayd.control import audit, canary
from relayd.core.canary_report import Played, Run, Searched, canonical
from relayd.store import canary as store_canary
from relayd.store.db import Database
from relayd.store.signing import open_signer, valid
from tests.fakes.records import START_MS

RUN = Run("1.2.3", START_MS, START_MS + 9, (Played("chat", 200, True),),
          (Searched("store", 1, 2, 0, {("a", "han", "utf-8"): 3}),), "searched", None)


async def test_a_report_is_signed_and_told(db: Database) -> None:
    signer = open_signer(db.directory)
    made = await canary.publish(db, signer, RUN, START_MS)
    document = json.loads(store_canary.read(db.directory) or b"")
    assert document["report"] == json.loads(canonical(made))
    assert document["public_key"] == signer.public.hex()
    signature = bytes.fromhex(document["signature"])
    assert valid(signer.public, canonical(document["report"]), signature)
    assert not valid(signer.public, canonical({**document["report"], "clean": True}), signature)
    events = [each.event async for each in audit.listing(db)]
    assert [(event.action, json.loads(event.details)) for event in events] == [
        ("canary.report", {"copies": 3, "memory": True, "requests": 1})]
