"""Providers that may train models on content: not without the consent of the account's holder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relayd.control import account, consent
from relayd.core.actor import Actor
from relayd.core.provider import TRAINS, Address, DataTerms, Trains, together
from relayd.core.route import Deployment, Route
from relayd.ops.clock import unix_ms
from relayd.ops.config import PrivacyConfig
from relayd.relay.plan import EVERY_CONSENT, OVERSEAS, TRAINING
from tests.fakes.daemon import Lane, provider
from tests.fakes.rawclient import ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened, opened

__all__ = ["opened"]

STRICT, LENIENT = PrivacyConfig(), PrivacyConfig(training="lenient")
URL = "https://provider.example/policy"


async def call(lane: Lane) -> tuple[int, bytes]:
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    return reply.status, reply.body


async def decide(lane: Lane, *items: str, withdraw: bool = False) -> None:
    [found] = await account.listing(lane.app.db)
    who, db = Actor(found.id), lane.app.db
    for item in items:
        if withdraw:
            await consent.withdraw(db, who, found.id, item, "console", unix_ms())
        else:
            await consent.agree(db, who, found.id, [item], ("en", "console"), unix_ms())
    await lane.app.refresh()


async def entry(lane: Lane) -> Any:
    raw = request_bytes("/v1/models/test-model", lane.key, method="GET")
    return json.loads((await ask(lane.address, raw)).body)["relayd"]


@pytest.mark.parametrize(("trains", "strict", "routed"), [
    ("no", False, True), ("no", True, True), ("unknown", False, True), ("unknown", True, False),
    ("yes", False, False), ("yes", True, False),
])
async def test_N1_what_may_train_serves_nobody_who_did_not_agree(
    opened: Opened, trains: Trains, strict: bool, routed: bool,
) -> None:
    lane = await opened(provider_changes={"terms": DataTerms(trains)},
                        privacy=STRICT if strict else LENIENT)
    status, body = await call(lane)
    if routed:
        assert status == 200
        return
    assert status == 403 and b"training_consent_required" in body
    assert lane.upstream.requests == []
    await decide(lane, "training_routes")
    assert (await call(lane))[0] == 200
    await decide(lane, "training_routes", withdraw=True)
    assert (await call(lane))[0] == 403 and len(lane.upstream.requests) == 1


async def test_N1_calls_stay_with_deployments_that_do_not_train(
    tmp_path: Path, opened: Opened,
) -> None:
    first = await opened()
    nowhere = Address("http", "127.0.0.1", 1, "/v1")
    far = provider("openai", first.upstream.port, name="far", address=nowhere)
    both = Route("test-model", (Deployment("far", terms=DataTerms("yes", 30)),
                                Deployment("near", priority=2)))
    async with Lane(tmp_path / "other", routes=(both,), providers={
            "far": far, "near": replace(far, name="near", address=replace(
                nowhere, port=first.upstream.port), terms=DataTerms("no", 0, "cn", URL))}) as lane:
        assert (await call(lane))[0] == 200
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts) == ("near", 1)
        assert await entry(lane) == {"tier": "direct", "trains": "no", "retention_days": 0,
                                     "zdr": False, "region": "cn", "policy_url": URL}
        await decide(lane, "training_routes")
        assert (await entry(lane))["trains"] == "yes"


async def test_N1_each_consent_is_asked_for_by_its_own_name(opened: Opened) -> None:
    lane = await opened(provider_changes={"overseas": True, "terms": DataTerms("yes")})
    assert b"cross_border_consent_required" in (await call(lane))[1]
    await decide(lane, "overseas_routes")
    assert b"training_consent_required" in (await call(lane))[1]
    await decide(lane, "training_routes")
    assert (await call(lane))[0] == 200


async def test_N3_every_routable_model_says_what_becomes_of_content(opened: Opened) -> None:
    lane = await opened(patterns=("one", "two"), provider_changes={
        "terms": DataTerms("no", 30, "us", URL)})
    for path, fields, rows in (("/v1/models", (), "data"), ("/v1beta/models", (), "models"),
                               ("/v1/models", (("anthropic-version", "2023-06-01"),), "data")):
        raw = request_bytes(path, lane.key, method="GET", fields=fields)
        reply = await ask(lane.address, raw)
        found = json.loads(reply.body)[rows]
        assert len(found) == 2
        for each in found:
            assert each["relayd"] == {"tier": "direct", "trains": "no", "retention_days": 30,
                                      "zdr": False, "region": "us", "policy_url": URL}
        assert b"sk-upstream" not in reply.body


def test_several_deployments_are_as_bad_as_the_worst() -> None:
    assert TRAINS == ("no", "unknown", "yes")
    good, bad = DataTerms("no", 0, "eu", URL, True), DataTerms("yes", 30, "us", None)
    assert together([good, good]) == good and together([]) == DataTerms()
    assert together([good, bad]) == DataTerms("yes", 30, "eu, us", None, False)
    assert together([bad, DataTerms("no")]).retention_days is None


def test_every_set_of_consents_has_a_plan() -> None:
    assert set(EVERY_CONSENT) == {0, OVERSEAS, TRAINING, OVERSEAS | TRAINING}
