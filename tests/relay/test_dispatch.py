"""Dispatch: which deployment serves a name, by which of a route's strategies, for which key."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Literal

import msgspec
import pytest

from relayd.core.errors import RelayError
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.provider import Address
from relayd.core.route import Deployment, Route
from relayd.core.snapshot import KeyGrant
from relayd.ops.config import BillingConfig
from relayd.relay.dispatch import NAMES_MAX, allowed, may_use
from relayd.relay.plan import Plan
from relayd.wire.dialect import target_of
from tests.fakes.daemon import ANSWER, PATIENT, Lane, plain_answer, provider
from tests.fakes.faulty import FAULTS, providers, upstreams
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import message
from tests.fakes.stepped import stepped
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_exchange import exchange
from tests.relay.test_plane import plane_of

OK = message(ANSWER)
BOTH = (Deployment("p0"), Deployment("p1"))


@pytest.mark.parametrize(("models", "model", "may"), [
    (None, "gpt-5", True),
    (("gpt-5",), "gpt-5", True),
    (("gpt-5",), "gpt-5-mini", False),
    (("gpt-5*",), "gpt-5-mini", True),
    (("*",), "anything", True),
    (("claude-*", "gpt-5"), "gpt-4", False),
    (("*-mini",), "gpt-5-mini", True), (("gpt-*-mini",), "gpt-5-mini", True),
    (("gpt-*-mini",), "gpt-5", False),
])
def test_allowed(models: tuple[str, ...] | None, model: str, may: bool) -> None:
    names = None if models is None else frozenset(models)
    assert allowed(KeyGrant("k", "a", None, names, None, False), model) is may


async def test_no_route_and_no_deployment_of_this_api(opened: Opened) -> None:
    lane = await opened(routes=(Route("gpt-*", (Deployment("openai"),)),))
    for target, body in ((TARGET, BODY), ("/v1/messages", BODY.replace(b"test-", b"gpt-"))):
        assert (await ask(lane.address, request_bytes(target, lane.key, body))).status == 404
    first, second = await lane.settled(2)
    assert (first.model, first.error, second.model) == ("unknown", "unknown_model", "gpt-model")
    assert lane.upstream.requests == []


@pytest.mark.parametrize(("unpriced", "status"), [("refuse", 404), ("serve", 200)])
async def test_models_without_a_price_are_refused_where_that_is_wished(
    opened: Opened, unpriced: Literal["serve", "refuse"], status: int
) -> None:
    """Served, they would be free: with a pattern any key holder can choose one."""
    prices = PriceBook([Price("dear-*", unit_prices({"input": 1})),
                        Price("free-*", unit_prices({"input": 0}))])
    routes = (Route("*", (Deployment("openai"),)),
              Route("both", (Deployment("openai", "dear-1"), Deployment("openai", "odd"))))
    models = ["dear-2", "free-1", "odd", "both", "dear-2", "odd"]
    lane = await opened(routes=routes, prices=prices, billing=BillingConfig(unpriced=unpriced))
    for model in models:
        body = BODY.replace(b"test-model", model.encode())
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, body))
        priced = model in ("dear-2", "free-1")
        assert reply.status == (200 if priced else status)
        assert priced or status == 200 or b"no price" in reply.body
    found = await ask(lane.address, request_bytes("/v1/models", lane.key, method="GET"))
    assert (b'"both"' in found.body) == (status == 200)  # a list of what is refused helps nobody
    entry = await ask(lane.address, request_bytes("/v1/models/both", lane.key, method="GET"))
    assert entry.status == status
    records = await lane.settled(8)
    assert [record.model for record in records[:6]] == models
    assert records[2].outcome == ("completed" if status == 200 else "refused")


@pytest.mark.parametrize(("model", "known"), [
    (b'"a b"', "unknown"), (b'"../x"', "unknown"), (b'7', "unknown"), (b'null', None),
    (b'""', None),
])
async def test_what_is_no_name_is_recorded_as_unknown(
    opened: Opened, model: bytes, known: str | None,
) -> None:
    lane = await opened()
    request = request_bytes(TARGET, lane.key, BODY.replace(b'"test-model"', model))
    assert (await ask(lane.address, request)).status == 400
    (record,) = await lane.settled(1)
    assert (record.model, record.outcome) == (known, "refused")


async def test_an_unknown_model_is_told_with_the_nearest(opened: Opened) -> None:
    lane = await opened(routes=(
        Route("gpt-5.5", (Deployment("openai"),), aliases=("gpt-5.5-latest",)),
        Route("gpt-5.5-mini", (Deployment("openai"),)),
        Route("gpt-6", (Deployment("openai"),)), Route("gpt-*-nano", (Deployment("openai"),))))
    body = BODY.replace(b"test-model", b"gpt-5.5-mni")
    for request in (request_bytes(TARGET, lane.key, body),
                    request_bytes("/v1/models/gpt-5.5-mni", lane.key, method="GET")):
        message = json.loads((await ask(lane.address, request)).body)["error"]["message"]
        assert message.endswith(" The nearest: gpt-5.5-mini, gpt-5.5, gpt-5.5-latest."), message


async def test_a_name_that_was_found_before_is_found_again(opened: Opened) -> None:
    far = provider("openai", 1, name="far", overseas=True)
    lane = await opened(
        providers={"near": provider("openai", 1, name="near"), "far": far},
        routes=(Route("gpt-5", (Deployment("near"),), aliases=("fast",)),
                Route("gpt-*", (Deployment("near"), Deployment("far"))),
                Route("far", (Deployment("far"),)), Route("c*", (Deployment("near"),))))
    plane = plane_of(lane)
    grants = [KeyGrant("k", "a", None, models, None, False, overseas=overseas)
              for models in (None, frozenset({"gpt-5"}), frozenset({"c*", "far"}))
              for overseas in (False, True)]

    def found(model: str, grant: KeyGrant, path: str) -> tuple[Plan | str, str | None]:
        made = exchange()
        made.grant, made.policy, made.target = grant, plane.policy, target_of(path, "openai")
        try:
            return plane.dispatcher.plan(made, model), made.model
        except RelayError as error:
            return error.code, made.model

    asked = list(product(("gpt-5", "fast", "gpt-4", "far", "c1", "x", "c" * 999), grants,
                         (TARGET, "/v1/messages")))
    first = []
    for model, grant, path in asked:
        plane.policy.direct["openai"].clear()
        first.append(found(model, grant, path))
    assert len({what for what, _ in first if isinstance(what, str)}) == 3
    for _ in range(2):
        assert [found(*one) for one in asked] == first
    assert plane.policy.direct["openai"].keys() == {"gpt-5", "fast", "c1"}
    for number in range(3 * NAMES_MAX):
        assert found(f"c{number}", grants[0], TARGET)[1] == f"c{number}"
    assert len(plane.policy.direct["openai"]) <= NAMES_MAX


async def test_a_deployment_names_its_own_model(opened: Opened) -> None:
    lane = await opened(routes=(Route("test-model", (Deployment("openai", "theirs"),)),))
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    assert b'"model":"theirs"' in lane.upstream.requests[0].body
    [record] = await lane.settled(1)
    assert (record.model, record.provider_model) == ("test-model", "theirs")


async def test_the_next_deployment_where_the_first_cannot_be_reached(opened: Opened) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(OK)
        await reader.read()

    async with stepped(answer) as address:
        lane = await opened(
            providers={"down": provider("openai", 1, name="down"),
                       "works": provider("openai", address.port, name="works")},
            routes=(Route("*", (Deployment("down"), Deployment("works", priority=2))),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts, record.outcome) == ("works", 2, "completed")


async def test_nobody_can_be_reached(opened: Opened) -> None:
    lane = await opened(provider_changes={"address": Address("http", "127.0.0.1", 1, "/v1")})
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert reply.status == 502
    [record] = await lane.settled(1)
    assert record.outcome == "provider_error" and record.error == "upstream_connect"
    assert (record.attempts, record.status) == (1, 502)


def test_an_alias_stands_for_the_route_s_name() -> None:
    route = Route("gpt-5", (Deployment("p"),), aliases=("fast", "mine"))
    grant = KeyGrant("k", "a", None, frozenset({"gpt-5"}), None, False)
    assert may_use(grant, route, "fast") and may_use(grant, route, "gpt-5")
    only = msgspec.structs.replace(grant, models=frozenset({"mine"}))
    assert may_use(only, route, "mine") and not may_use(only, route, "gpt-5")
    assert not may_use(only, route, "fast") and not may_use(only, None, "fast")


async def spread(lane: Lane, bodies: list[bytes]) -> None:
    for body in bodies:
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, body))).status == 200


async def test_by_weight(opened: Opened) -> None:
    async with upstreams() as made:
        lane = await opened(providers=providers(made, timeouts=PATIENT), routes=(
            Route("test-model", (Deployment("p0", weight=3), Deployment("p1"))),))
        await spread(lane, [BODY] * 200)
        first = len(made[0].requests)
        assert 120 <= first <= 180 and first + len(made[1].requests) == 200


async def test_the_fastest_first(opened: Opened) -> None:
    async with upstreams() as made:
        seen: list[bytes] = []

        async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                seen.append(await reader.readuntil(b"hi"))
                await reader.readuntil(b"}")
                await asyncio.sleep(0.05)
                writer.write(OK)

        async with stepped(slowly) as address:
            found = providers(made, timeouts=PATIENT)
            found["p0"] = replace(found["p0"], address=address)
            lane = await opened(providers=found, routes=(
                Route("test-model", BOTH, strategy="least-latency"),))
            await spread(lane, [BODY] * 30)
            assert 1 <= len(seen) <= 2 and len(made[1].requests) >= 28


async def test_the_cheapest_first(opened: Opened) -> None:
    def price(name: str, nano: int) -> Price:
        return Price("test-model", unit_prices({"input": nano, "output": nano}), name)

    async with upstreams() as made:
        lane = await opened(
            providers=providers(made, timeouts=PATIENT),
            prices=PriceBook([price("p0", 20), price("p1", 10)]),
            routes=(Route("test-model", BOTH, strategy="cheapest"),))
        await spread(lane, [BODY] * 10)
        assert [len(u.requests) for u in made] == [0, 10]
        made[1].answers.append(FAULTS["503"])
        await spread(lane, [BODY])
        assert len(made[0].requests) == 1


def talk(number: int, turns: int = 1, key: str = "") -> bytes:
    """A conversation of so many turns."""
    more = b',{"role":"assistant","content":"yes"},{"role":"user","content":"and?"}' * (turns - 1)
    cache = b',"prompt_cache_key":"%b"' % key.encode() if key else b""
    return (b'{"model":"test-model"%b,"messages":[{"role":"system","content":"be brief"},'
            b'{"role":"user","content":"number %d"}%b]}' % (cache, number, more))


async def test_a_conversation_stays_where_it_is(opened: Opened) -> None:
    async with upstreams() as made:
        lane = await opened(providers=providers(made, timeouts=PATIENT),
                            routes=(Route("test-model", BOTH, sticky=True),))
        await spread(lane, [talk(n, turns) for n in range(20) for turns in (1, 2, 3)])
        places = Counter((n, u is made[0]) for u in made for n in range(20)
                         for r in u.requests if b"number %d\"" % n in r.body)
        assert set(places.values()) == {3} and len(places) == 20
        assert 3 <= sum(first for _, first in places) <= 17
        # a key of the client's goes before the text, and to no provider
        for upstream in made:
            upstream.requests.clear()
        await spread(lane, [talk(n, key="mine") for n in range(10)])
        assert sorted(len(u.requests) for u in made) == [0, 10]
        # where the favourite is ill, its conversations spill to the other one
        favourite = made[0] if made[0].requests else made[1]
        favourite.answers.extend([FAULTS["500"]] * 5)
        await spread(lane, [talk(1, key="mine")] * 9)
        assert sorted(len(u.requests) for u in made) == [9, 15]


async def test_a_dead_deployment_of_one_api_is_none_of_another(opened: Opened) -> None:
    dead = provider("anthropic", 1, name="dead")
    async with upstreams(plain_answer) as made:
        lane = await opened(
            providers={"dead": dead, **providers(made, timeouts=PATIENT)},
            routes=(Route("test-model", (Deployment("dead"), Deployment("p0"))),))
        await spread(lane, [BODY] * 7)
        assert {r.attempts for r in await lane.settled(7)} == {1}


async def test_a_call_that_cannot_be_written_down_leaves_its_connection_to_others(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise RelayError("journal_full")

    lane = await opened()
    plane = plane_of(lane)
    raw = request_bytes(TARGET, lane.key, BODY)
    assert (await ask(lane.address, raw)).status == 200
    with monkeypatch.context() as patched:
        patched.setattr(plane.meter, "open", full)
        assert (await ask(lane.address, raw)).status == 503
    pool = plane.policy.pools["openai"]
    assert (pool.busy, pool.idle) == (0, 1)
    assert (await ask(lane.address, raw)).status == 200
    assert len(lane.upstream.requests) == 2
