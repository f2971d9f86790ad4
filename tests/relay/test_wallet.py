"""Prepaid balances on the relay path: what is served, what is refused, and what is left."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from relayd.control import account, subscription, wallet
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.money import NANO
from relayd.core.plan import MARKUP_ONE, Plan, Tariff
from relayd.core.posting import move
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.reservation import Demand, Hold, Wallet
from relayd.core.snapshot import KeyGrant
from relayd.core.usage import Usage
from relayd.ops.clock import unix_ms
from relayd.ops.config import BillingConfig, ServerConfig
from relayd.relay import plan as relay_plan
from relayd.relay.exchange import Exchange
from relayd.relay.settle import Settler
from relayd.relay.wallet import (
    SEARCHES, SEARCHES_MAX, SLOWER, Wallets, _ranked, _searches, all_priced,
)
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.wire.body import Ask, read
from relayd.wire.demand import IMAGE_TOKENS
from relayd.wire.dialect import target_of
from relayd.wire.estimate import CONTEXT_TOKENS, estimated_tokens
from relayd.wire.reply_media import BYTES_PER_SECOND
from relayd.wire.walk import OPEN, BodyPolicy
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import TARGET
from tests.relay.test_exchange import exchange

EMAIL = "someone@example.com"
TOKENS = 1000
PRICES = PriceBook([Price("*", unit_prices({"call": NANO // 100}))])
"""A cent a call, whatever is in it."""
BY_TOKEN = PriceBook([Price("*", unit_prices({"output": 10 * NANO}))])
"""Ten dollars for a million tokens that are made."""


def body(**fields: Any) -> bytes:
    asked = {"model": "test-model", "messages": [{"role": "user", "content": "x"}], **fields}
    return json.dumps(asked).encode()


def made(tokens: int) -> Answer:
    return Answer(message(json.dumps({
        "id": "x", "object": "chat.completion", "created": 1, "model": "test-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": tokens + 3},
    }).encode()), "segments-40")


def lane(
    directory: Path, prices: PriceBook = PRICES, tokens: int = TOKENS, **billing: Any,
) -> Lane:
    return Lane(directory, lambda _: made(tokens), prices=prices,
                billing=BillingConfig(prepaid=True, **billing))


async def pay(db: Database, nano: int, cause: str = "first") -> None:
    who = await account.find(db, EMAIL)
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", cause, nano, "USD", account=who.id, partner="test"), unix_ms())


async def seen(lane: Lane, nano: int) -> None:
    """Until the relay knows of the money."""
    plane = lane.app._plane
    assert plane is not None
    async with asyncio.timeout(5):
        while sum(p.nano for p in plane.wallets._posted.values()) != nano:
            await asyncio.sleep(0.01)


async def left(db: Database) -> int:
    return sum(found.nano for found in await wallet.money(db, EMAIL))


async def call(lane: Lane, asked: bytes) -> int:
    return (await ask(lane.address, request_bytes(TARGET, lane.key, asked))).status


async def calls(lane: Lane, asked: bytes, clients: int, each: int) -> Counter[int]:
    """Statuses of so many clients' calls, each client's one after the other."""
    found: Counter[int] = Counter()

    async def one() -> None:
        async with RawClient(lane.address) as client:
            for _ in range(each):
                found[(await client.ask(request_bytes(TARGET, lane.key, asked))).status] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
    return found


@pytest.fixture
async def paid(tmp_path: Path) -> AsyncIterator[Lane]:
    async with lane(tmp_path / "store") as opened:
        yield opened


async def test_nothing_is_served_on_an_empty_balance(paid: Lane) -> None:
    reply = await ask(paid.address, request_bytes(TARGET, paid.key, body()))
    assert reply.status == 402 and reply.value(b"x-should-retry") == b"false"
    error = json.loads(reply.body)["error"]
    assert error["code"] == "insufficient_quota" and "0.01 USD" in error["message"]
    assert paid.upstream.requests == []
    [record] = await paid.settled(1)
    assert (record.outcome, record.error, record.amount_nano) == ("refused", "balance_short", 0)


async def test_sixty_four_clients_share_a_balance_for_exactly_so_many_calls(paid: Lane) -> None:
    await pay(paid.app.db, 100 * NANO // 100)
    await seen(paid, 100 * NANO // 100)
    found = await calls(paid, body(), clients=64, each=4)
    assert found[200] == 100 and set(found) <= {200, 402, 429}
    await paid.settled(256)
    assert len(paid.upstream.requests) == 100 and await left(paid.app.db) == 0
    assert await call(paid, body()) == 402


async def test_money_that_comes_in_is_served_within_a_second(paid: Lane) -> None:
    assert await call(paid, body()) == 402
    await pay(paid.app.db, NANO)
    async with asyncio.timeout(1.5):
        while await call(paid, body()) != 200:
            await asyncio.sleep(0.05)


async def test_a_credit_line_is_served(paid: Lane) -> None:
    await wallet.set_credit(paid.app.db, EMAIL, "USD", "0.05", unix_ms(), SHELL)
    async with asyncio.timeout(5):
        while await call(paid, body()) != 200:
            await asyncio.sleep(0.05)
    found = await calls(paid, body(), clients=1, each=10)
    assert found == {200: 4, 402: 6}
    await paid.settled(11)
    assert await left(paid.app.db) == -5 * NANO // 100


async def test_calls_with_a_bound_never_spend_what_is_not_there(tmp_path: Path) -> None:
    each = TOKENS * 10 * NANO // 10**6
    async with lane(tmp_path / "store", BY_TOKEN) as opened:
        await pay(opened.app.db, 10 * each)
        await seen(opened, 10 * each)
        found = await calls(opened, body(max_tokens=TOKENS), clients=64, each=1)
        assert found[200] == 10 and found[429] + found[402] == 54
        await opened.settled(64)
        assert await left(opened.app.db) == 0


async def test_calls_without_a_bound_are_served_alone_when_money_is_short(tmp_path: Path) -> None:
    """Of 64 at once one is served beyond its estimate: the overdraft is that one's error."""
    each = TOKENS * 10 * NANO // 10**6
    async with lane(tmp_path / "store", BY_TOKEN, output_tokens=100) as opened:
        await pay(opened.app.db, each // 2)
        await seen(opened, each // 2)
        found = await calls(opened, body(), clients=64, each=1)
        assert found == {200: 1, 429: 63}
        await opened.settled(64)
        assert await left(opened.app.db) == each // 2 - each
        assert await call(opened, body()) == 402


async def test_a_balance_survives_a_restart(tmp_path: Path) -> None:
    async with lane(tmp_path / "store") as opened:
        await pay(opened.app.db, 3 * NANO // 100)
        await seen(opened, 3 * NANO // 100)
        assert await call(opened, body()) == 200
        settings, upstream = opened.app.config, opened.upstream
        await opened.app.stop()
        opened.app = type(opened.app)(settings, logger=opened.app.logger)
        opened.app._encodings = type(opened.app._encodings)()
        await opened.app.start()
        assert [await call(opened, body()) for _ in range(3)] == [200, 200, 402]
        assert len(upstream.requests) == 3


async def test_a_call_that_fails_gives_its_money_back(tmp_path: Path) -> None:
    broken = Answer(message(b'{"error":{"message":"no"}}', status=400))
    async with Lane(tmp_path / "store", lambda _: broken, prices=PRICES,
                    billing=BillingConfig(prepaid=True)) as opened:
        await pay(opened.app.db, NANO // 100)
        await seen(opened, NANO // 100)
        assert [await call(opened, body()) for _ in range(5)] == [400] * 5
        await opened.settled(5)
        assert await left(opened.app.db) == NANO // 100


async def test_without_prepaid_nobody_is_refused_and_the_account_owes(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store", lambda _: made(5), prices=PRICES) as opened:
        assert await call(opened, body()) == 200
        raw = upload(opened, FORM)
        assert (await ask(opened.address, raw)).status == 200
        await opened.settled(2)
        assert await left(opened.app.db) == -2 * NANO // 100


async def test_what_has_no_price_is_served(tmp_path: Path) -> None:
    async with lane(tmp_path / "store", PriceBook([])) as opened:
        assert await call(opened, body()) == 200


async def test_a_plans_markup_counts_for_the_bound_and_the_amount(tmp_path: Path) -> None:
    plans = {"default": Plan("default", 3 * MARKUP_ONE), "cheap": Plan("cheap", MARKUP_ONE // 2)}
    async with Lane(tmp_path / "store", lambda _: made(5), prices=PRICES, plans=plans,
                    billing=BillingConfig(prepaid=True)) as opened:
        await pay(opened.app.db, 3 * NANO // 100)
        await seen(opened, 3 * NANO // 100)
        assert [await call(opened, body()) for _ in range(2)] == [200, 402]
        # what was taken stays, also if it is stored only now
        await subscription.assign(opened.app.db, EMAIL, "cheap", plans, unix_ms(), SHELL)
        await opened.app.refresh()
        await pay(opened.app.db, NANO // 100, "second")
        await opened.settled(2)
        await seen(opened, NANO // 100)
        assert [await call(opened, body()) for _ in range(3)] == [200, 200, 402]
        found = await opened.settled(5)
        amounts = [record.amount_nano for record in found]
        assert amounts == [3 * NANO // 100, 0, NANO // 200, NANO // 200, 0]


@pytest.mark.parametrize("said, status", [
    (b"5m", 200), (b"1h", 402), (b"\\u0031h", 402), (b"1\\u0068", 402), (b"\\u0031\\u0068", 402)])
async def test_an_hour_in_a_cache_is_set_aside(tmp_path: Path, said: bytes, status: int) -> None:
    """It costs twice the input: calls side by side would all be served beyond what is there."""
    prices = PriceBook([Price("*", unit_prices({
        "input": 4 * NANO, "cache_creation": 5 * NANO, "cache_creation_1h": 8 * NANO}))])
    text = "x" * 40_000
    asked = body(max_tokens=1, messages=[{"role": "user", "content": [
        {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "TTL"}}]}])
    async with lane(tmp_path / "store", prices) as opened:
        plane = opened.app._plane
        assert plane is not None
        tokens = estimated_tokens("openai", asked)
        await pay(opened.app.db, tokens * 6 * NANO // 10**6)
        await seen(opened, tokens * 6 * NANO // 10**6)
        assert await call(opened, asked.replace(b"TTL", said)) == status


async def statuses(opened: Lane, nano: int, asked: bytes) -> tuple[int, int]:
    """Of a call where a nano is missing of what it may cost, and where none is."""
    await pay(opened.app.db, nano - 1)
    await seen(opened, nano - 1)
    first = (await ask(opened.address, asked)).status
    await pay(opened.app.db, 1, "second")
    await seen(opened, nano)
    return first, (await ask(opened.address, asked)).status


FORM = (b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n?\r\n--x--\r\n')


def upload(opened: Lane, form: bytes) -> bytes:
    return request_bytes("/v1/audio/transcriptions", opened.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Length", str(len(form))))) + form


async def test_images_of_tokens_are_set_aside(tmp_path: Path) -> None:
    """One may cost a quarter of a dollar: many at once would all be served on a cent. Where there
    is enough for usual ones and not for the largest, a call is served alone."""
    prices = PriceBook([Price("*", unit_prices({"output": 40 * NANO}))])
    asked = json.dumps({"model": "gpt-image-1", "prompt": "x", "n": 3}).encode()
    async with lane(tmp_path / "store", prices) as opened:
        raw = request_bytes("/v1/images/generations", opened.key, asked)
        nano = 3 * IMAGE_TOKENS * 40 * NANO // 10**6
        assert await statuses(opened, nano, raw) == (402, 200)


async def test_searches_of_the_web_are_paid(tmp_path: Path) -> None:
    """Four of them cost more than the call's tokens; one was reserved, as no more was there."""
    prices = PriceBook([Price("*", unit_prices({"output": 10 * NANO, "search": NANO // 100}))])
    report = {"input_tokens": 9, "output_tokens": 4,
              "server_tool_use": {"web_search_requests": 4}}
    reply = {"id": "x", "type": "message", "role": "assistant", "content": [], "usage": report}
    asked = body(max_tokens=9, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    async with Lane(tmp_path / "store", lambda _: Answer(message(json.dumps(reply).encode())),
                    prices=prices, billing=BillingConfig(prepaid=True)) as opened:
        about = NANO // 100 + 9 * 10 * NANO // 10**6
        raw = request_bytes("/v1/messages", opened.key, asked)
        assert await statuses(opened, about, raw) == (402, 200)
        record = (await opened.settled(2))[-1]
        assert (record.searches, record.amount_nano) == (4, 4 * NANO // 100 + 40_000)
        assert await left(opened.app.db) == about - record.amount_nano


async def test_a_ranking_is_paid_by_its_searches(tmp_path: Path) -> None:
    """Two for a hundred and one documents; what is long may make more of them."""
    prices = PriceBook([Price("*", unit_prices({"search": NANO // 500}))])
    reply = {"id": "x", "results": [], "meta": {"billed_units": {"search_units": 2}}}
    asked = json.dumps({"model": "test-model", "query": "q", "documents": ["d"] * 101}).encode()
    async with Lane(tmp_path / "store", lambda _: Answer(message(json.dumps(reply).encode())),
                    prices=prices, billing=BillingConfig(prepaid=True)) as opened:
        raw = request_bytes("/v1/rerank", opened.key, asked)
        assert await statuses(opened, 2 * NANO // 500, raw) == (402, 200)
        record = (await opened.settled(2))[-1]
        assert (record.searches, record.amount_nano) == (2, 2 * NANO // 500)


@pytest.mark.parametrize(("documents", "about", "most"), [
    (["d"] * 100, 1, 1), (["d"] * 201, 3, 3), (["word " * 40_000] * 2, 1, 3), (None, 1, 1)])
def test_searches_of_a_ranking(documents: object, about: int, most: int) -> None:
    tokens = len(json.dumps(documents)) // 4
    assert [found.searches for found in _ranked(tokens, documents)] == [about, most]


async def test_audio_that_is_paid_by_tokens_is_set_aside(tmp_path: Path) -> None:
    prices = PriceBook([Price("*", unit_prices({"input": 6 * NANO, "output": 10 * NANO}))])
    async with lane(tmp_path / "store", prices) as opened:
        raw = upload(opened, FORM.replace(b"?", b"a" * 400_000))
        # a hundred seconds and what the form is around them
        nano = ((1000 + 101 * 20) * 6 + 101 * 8 * 10) * NANO // 10**6
        assert await statuses(opened, nano, raw) == (402, 200)


def together(target: str, asked: dict[str, Any], **unit: int) -> list[str]:
    """What becomes of 200 calls on a balance of 1.00 before any of them is answered."""
    wallets, found = Wallets(), []
    wallets.install([("acct", "USD", NANO, 0)], ())
    for _ in range(200):
        made, plan = deployments(of("a", **unit))
        made.target = target_of(target, "openai")
        assert made.target.endpoint is not None
        raw = json.dumps({"model": "m", **asked}, ensure_ascii=False).encode()
        made.ask = read(made.target.endpoint, raw, BodyPolicy(), "m")
        try:
            wallets.admit(made, plan, raw)
            found.append("served")
        except RelayError as error:
            found.append(error.code)
    return found


def part(**fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [fields]}]


PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBE" * 5000}


@pytest.mark.parametrize("target, asked", [
    ("/v1/messages", {"messages": part(type="document", source=PDF)}),
    ("/v1/messages", {"messages": part(type="document", source={
        "type": "url", "url": "https://a.example/b.pdf"})}),
    ("/v1/messages", {"messages": part(type="text", text="x"), "tools": [
        {"type": "web_fetch_20250910", "name": "web_fetch"}]}),
    ("/v1/chat/completions", {"messages": part(type="file", file={
        "file_data": "data:application/pdf;base64," + "JVBE" * 5000})}),
    ("/v1/responses", {"input": part(type="input_file", file_url="https://a.example/b.pdf")}),
    ("/v1beta/models/m:generateContent", {"contents": [{"parts": [
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}}]}],
        "generationConfig": {"maxOutputTokens": 1}}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x", }] * 50 + 50 * part(
        type="image_url", image_url={"url": "https://a.example/b.png"})}),
], ids=["pdf", "pdf-linked", "web-fetch", "file", "file-linked", "film", "pictures"])
def test_input_that_has_more_tokens_than_its_length_says_is_served_alone(
    target: str, asked: dict[str, Any]
) -> None:
    """A document of some kilobytes or an address may have a million; 200 were served at once on
    a balance that covered one, since each was taken for a thousand."""
    found = together(target, {**asked, "max_tokens": 1, "max_output_tokens": 1}, input=5)
    assert found == ["served"] + 199 * ["balance_held"]


def test_text_is_set_aside_as_the_densest_there_is() -> None:
    """Some scripts have a token for every byte: with a quarter of them set aside four times the
    balance was served."""
    asked = {"messages": [{"role": "user", "content": "\u1e0a" * 10_000}], "max_tokens": 1}
    found = together("/v1/chat/completions", asked, input=5)
    # six that are covered to the last byte, and one more, which has what is left
    assert found == 7 * ["served"] + 193 * ["balance_held"]


def test_each_prompt_of_a_completion_has_answers_of_its_own() -> None:
    asked = {"prompt": ["x"] * 1000, "max_tokens": 100}
    assert together("/v1/completions", asked, output=9) == ["served"] + 199 * ["balance_held"]


@pytest.mark.parametrize(("target", "most"), [
    ("/v1/chat/completions", CONTEXT_TOKENS), ("/v1/responses", CONTEXT_TOKENS),
    ("/v1/completions", 2 * CONTEXT_TOKENS), ("/v1/embeddings", 2 * CONTEXT_TOKENS),
    ("/v1/moderations", 2 * CONTEXT_TOKENS),
    ("/v1beta/models/m:batchEmbedContents", 2 * CONTEXT_TOKENS)])
def test_many_inputs_at_once_are_more_than_a_model_can_read(target: str, most: int) -> None:
    made, plan = deployments()
    made.target = target_of(target, "openai")
    _, longest = Wallets()._quantities(made, plan, b"x" * 2 * CONTEXT_TOKENS)
    assert longest.input_tokens == most


SPOKEN = PriceBook([Price("*", unit_prices({"audio_minute": 6 * NANO // 1000}))])


async def test_a_sound_file_is_paid_by_its_seconds(tmp_path: Path) -> None:
    """Nothing is reported of it; a model that is paid by what it speaks cost its prompt alone."""
    asked = json.dumps({"model": "test-model", "voice": "a", "input": "x" * 400}).encode()
    sound = Answer(message(bytes(40 * 48_000), "audio/pcm"))
    async with Lane(tmp_path / "store", lambda _: sound, prices=SPOKEN,
                    billing=BillingConfig(prepaid=True)) as opened:
        raw = request_bytes("/v1/audio/speech", opened.key, asked)
        about = (len(asked) // BYTES_PER_SECOND + 1) * NANO // 10_000
        assert await statuses(opened, about, raw) == (402, 200)
        record = (await opened.settled(2))[-1]
        assert (record.audio_seconds, record.amount_nano) == (40, 40 * NANO // 10_000)
        assert (record.usage_source, record.output_tokens) == ("estimated", 0)


@pytest.mark.parametrize("most", [True, False])
async def test_speech_that_may_be_slow_is_served_alone(tmp_path: Path, most: bool) -> None:
    asked = json.dumps({"model": "test-model", "voice": "a", "input": "x" * 400}).encode()
    nano = (len(asked) // BYTES_PER_SECOND + 1) * SLOWER * NANO // 10_000 - (not most)
    async with Lane(tmp_path / "store", lambda _: Answer(message(b"x", "audio/pcm")),
                    prices=SPOKEN, billing=BillingConfig(prepaid=True)) as opened:
        await pay(opened.app.db, nano)
        await seen(opened, nano)
        found = []
        reserve = Wallet.reserve

        def noting(wallet: Wallet, demand: Demand) -> Hold:
            hold = reserve(wallet, demand)
            found.append((hold.nano, wallet.alone))
            return hold

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Wallet, "reserve", noting)
            raw = request_bytes("/v1/audio/speech", opened.key, asked)
            assert (await ask(opened.address, raw)).status == 200
        assert found == [(nano, not most)]


async def test_a_long_upload_is_set_aside_whole_before_it_has_come(tmp_path: Path) -> None:
    """It goes on to its provider once a megabyte is here; what follows costs as much."""
    async with lane(tmp_path / "store", SPOKEN) as opened:
        form = FORM.replace(b"?", b"a" * 2_400_000)
        seconds = len(form) // 4000 + 1
        assert await statuses(opened, seconds * NANO // 10_000, upload(opened, form)) == (402, 200)


@pytest.mark.parametrize("enough", [True, False])
async def test_an_upload_of_unknown_length_is_served_alone(tmp_path: Path, enough: bool) -> None:
    """Where there is not enough for the longest that may come."""
    longest = 4_000_000
    async with Lane(tmp_path / "store", lambda _: made(5), prices=SPOKEN,
                    billing=BillingConfig(prepaid=True),
                    server={"max_body_bytes": longest}) as opened:
        nano = (longest // 750 + 1) * NANO // 10_000 - (not enough)
        await pay(opened.app.db, nano)
        await seen(opened, nano)
        form = FORM.replace(b"?", b"a" * 2_400_000)
        head, _, _ = upload(opened, form).partition(b"\r\n\r\n")
        head = head.replace(b"Content-Length: %d" % len(form), b"Transfer-Encoding: chunked")
        async with RawClient(opened.address) as client:
            await client.send(b"%b\r\n\r\n%x\r\n" % (head, len(form)) + form[:2_000_000])
            while not (held := holding(opened)):
                await asyncio.sleep(0.01)
            assert held == [(nano, not enough)]
            await client.send(form[2_000_000:] + b"\r\n0\r\n\r\n")
            assert (await client.final_reply()).status == 200


def holding(opened: Lane) -> list[tuple[int, bool]]:
    """What the wallets hold for calls under way, and whether one has taken all of it."""
    plane = opened.app._plane
    assert plane is not None
    return [(wallet.reserved, wallet.alone)
            for wallet in plane.wallets._wallets.values() if wallet.reserved]


def deployments(*prices: Price, **fields: Any) -> tuple[Exchange, relay_plan.Plan]:
    """A chat call on an empty balance that may go to the provider of each of these prices."""
    made: Exchange = exchange()
    made.grant = KeyGrant("key", "acct", "app", None, None, False)
    made.ask = Ask("m", False, fields, (), False, (), [])
    made.model = "m"
    made.policy = SimpleNamespace(  # type: ignore[assignment]
        billing=BillingConfig(prepaid=True, output_tokens=1000, output_tokens_max=10_000),
        prices=PriceBook(prices))
    places: Any = [SimpleNamespace(provider=SimpleNamespace(name=price.provider), sends=None)
                   for price in prices]
    plan: Any = SimpleNamespace(places=places)
    return made, plan


def of(provider: str, currency: str = "USD", **unit: int) -> Price:
    return Price("*", unit_prices({name: nano * NANO for name, nano in unit.items()}), provider,
                 currency=currency)


LONG, TALKATIVE = of("a", input=20, output=1), of("b", input=1, output=5)
"""The dearer one of the usual answer to a long prompt, and of the longest."""


@pytest.mark.parametrize("prices", [(LONG, TALKATIVE), (TALKATIVE, LONG)])
def test_the_dearest_of_each_is_set_aside(prices: tuple[Price, ...]) -> None:
    made, plan = deployments(*prices)
    raw = b"x" * 1200
    wallets = Wallets()
    tokens = estimated_tokens("openai", raw)
    about = (tokens * 20 + 1000 * 1) * NANO // 10**6
    most = (tokens * 1 + 10_000 * 5) * NANO // 10**6
    assert about > (tokens * 1 + 1000 * 5) * NANO // 10**6
    assert most > (tokens * 20 + 10_000 * 1) * NANO // 10**6
    wallets.install([("acct", "USD", most, 0)], ())
    wallets.admit(made, plan, raw)
    assert made.hold is not None and made.hold.nano == most
    made.hold.void()
    for nano, served in ((most - 1, True), (about, True), (about - 1, False)):
        wallets.install([("acct", "USD", nano, 0)], ())
        made.hold = None
        if served:  # alone: another one's money would not be enough
            wallets.admit(made, plan, raw)
            assert made.hold is not None and made.hold.nano == nano
            made.hold.void()
        else:
            with pytest.raises(RelayError, match="balance_short"):
                wallets.admit(made, plan, raw)


@pytest.mark.parametrize(("price", "raw", "usual", "most"), [
    ({"search": 1}, b'{"tools":[{"type":"web_search_20250305"}]}', SEARCHES, SEARCHES_MAX),
    ({"search": 1}, b'{"tools":[{"type":"web_\\u0073earch"}]}', SEARCHES, SEARCHES_MAX),
    ({"search_call": 1}, b'{"tools":[{"googleSearch":{}}]}', 1, 1),
    ({"search": 1}, b'{"tools":[{"name":"WebSearch"}],"x":"caf\\u00e9"}', 0, 0),
    ({"call": 1}, b'{"tools":[{"type":"web_search_20250305"}]}', 1, 1),
])
def test_searches_are_set_aside_where_they_have_a_price_and_a_body_names_their_tool(
    price: dict[str, int], raw: bytes, usual: int, most: int,
) -> None:
    made, plan = deployments(of("a", **price), max_tokens=9)
    wallets = Wallets()
    for nano, held in ((50, most), (usual, usual)):
        wallets.install([("acct", "USD", nano * NANO, 0)], ())
        made.hold = None
        wallets.admit(made, plan, raw)
        assert made.hold is not None and made.hold.nano == held * NANO
        made.hold.void()
    made.target = target_of("/v1/messages/count_tokens", "anthropic")
    assert {each.most for each in wallets._demands(made, plan, raw).values()} == {
        NANO if "call" in price else 0}


@pytest.mark.parametrize("name", [
    "web_search", "web_search_preview", "openrouter:web_search", "x_search", "googleSearch",
    "google_search", "googleSearchRetrieval", "google_search_retrieval", "enterpriseWebSearch",
    "x:online"])
def test_each_tool_that_searches_is_known_however_it_is_written(name: str) -> None:
    price = Price("*", unit_prices({"search": 1}))
    assert _searches(price, b'{"type":"%b"}' % name.encode())
    for at, letter in enumerate(name):
        escaped = f"{name[:at]}\\u{ord(letter):04x}{name[at + 1:]}"
        assert _searches(price, escaped.encode())
    assert not _searches(price, b'{"type":"file_search","name":"Search"}, "\\u00e9\\u000a"')


def test_a_session_holds_what_it_has_used_and_ends_where_nothing_is_left() -> None:
    made, plan = deployments(of("a", output=1), of("b", output=7))
    made.target = target_of("/v1/realtime", "openai")
    plans = {"default": Plan("default"), "twice": Plan("twice", 2 * MARKUP_ONE)}
    wallets = Wallets(lambda: Tariff(made.policy.prices, plans, {"acct": "twice"}))
    wallets.spend(made, Usage(output_tokens=9))  # one that holds nothing
    wallets.go_on(made)
    wallets.install([("acct", "USD", NANO, 0)], ())
    wallets.admit(made, plan, b"")
    assert made.hold is not None and made.hold.nano == 2 * 7 * 4096 * NANO // 10**6
    made.provider, made.provider_model = "a", "theirs"
    for tokens, nano in ((40_000, 80_000), (30_000, 80_000), (500_000, 1_000_000)):
        wallets.spend(made, Usage(output_tokens=tokens))
        assert made.hold.nano == nano * NANO // 10**6
        wallets.go_on(made)
    assert wallets.refused == 0
    wallets.spend(made, Usage(output_tokens=500_001))
    with pytest.raises(RelayError, match="balance_short"):
        wallets.go_on(made)
    assert wallets.refused == 1
    other, _ = deployments(*made.policy.prices.prices)
    other.target = made.target
    with pytest.raises(RelayError, match="balance_held"):
        wallets.admit(other, plan, b"")
    assert wallets.refused == 2 and other.hold is None


def test_responses_that_are_refused_hold_nothing() -> None:
    made, plan = deployments(of("a", output=1))
    made.target, made.provider = target_of("/v1/realtime", "openai"), "a"
    wallets = Wallets(lambda: Tariff(made.policy.prices))
    wallets.install([("acct", "USD", 3 * 4096 * NANO // 10**6, 0)], ())
    wallets.admit(made, plan, b"")
    wallets.go_on(made, 3)
    assert made.hold is not None and made.hold.wallet.available == 0
    with pytest.raises(RelayError, match="balance_short"):
        wallets.go_on(made, 4)
    assert made.hold.wallet.available == 0
    made.provider = "other"  # which has no price
    wallets.spend(made, Usage(output_tokens=9))
    assert made.hold.wallet.available == 0


def test_a_deployment_that_has_a_name_of_its_own_costs_what_was_asked_for() -> None:
    made, plan = deployments(Price("m", unit_prices({"call": NANO}), "a"))
    plan.places[0].sends = "theirs"
    wallets = Wallets(lambda: Tariff(made.policy.prices))
    assert all_priced(made, plan, "m")
    with pytest.raises(RelayError, match="balance_short"):
        wallets.admit(made, plan, b"{}")
    made.model = "another"
    assert not all_priced(made, plan, "another")


@pytest.mark.parametrize(("whole", "seconds"), [(True, 11), (False, 137)])
def test_a_form_that_has_come_whole_is_as_long_as_it_is(whole: bool, seconds: int) -> None:
    made, plan = deployments()
    made.target, made.body_bytes = target_of("/v1/audio/transcriptions", "openai"), 8000
    made.head.content_length, made.body_complete = None, whole
    made.policy.server = ServerConfig(max_body_bytes=102_400)
    usual, most = Wallets()._quantities(made, plan, None)
    assert (usual.audio_seconds, most.audio_seconds) == (3, seconds)


def test_of_two_currencies_the_larger_amount_is_set_aside_and_what_was_used_is_taken() -> None:
    made, plan = deployments(of("a", "USD", output=1), of("b", "CNY", output=7), max_tokens=1000)
    wallets = Wallets(lambda: Tariff(made.policy.prices))
    wallets.install([("acct", "USD", NANO, 0), ("acct", "CNY", NANO, 0)], ())
    wallets.admit(made, plan, b"{}")
    assert made.hold is not None and made.hold.wallet.currency == "CNY"
    assert made.hold.nano == 7 * NANO // 1000
    made.provider, made.provider_model, made.usage = "a", "m", Usage(output_tokens=500)
    made.ending, made.usage_covers = "completed", True
    plane: Any = None
    record = wallets.settle(made, Settler(plane)._build(made, 3.0))
    assert (record.currency, record.amount_nano) == ("USD", 500 * NANO // 10**6)
    held = wallets._wallet("acct", "CNY")
    assert (held.available, held.idle) == (NANO, True)
    assert wallets._wallet("acct", "USD").available == NANO - record.amount_nano
    assert wallets.unposted() == [(record.started_at_ms, record.id)]


def test_a_session_takes_from_the_currency_of_the_deployment_that_it_has() -> None:
    """What it used in dollars was taken from what it held in yuan, a seventh of it, and nothing
    looked whether there are dollars."""
    made, plan = deployments(of("a", "USD", output=1), of("b", "CNY", output=7))
    made.target = target_of("/v1/realtime", "openai")
    wallets = Wallets(lambda: Tariff(made.policy.prices))
    wallets.install([("acct", "USD", NANO // 10, 0), ("acct", "CNY", NANO, 0)], ())
    wallets.admit(made, plan, b"")
    assert made.hold is not None and made.hold.wallet.currency == "CNY"
    made.provider, made.provider_model = "a", "theirs"
    wallets.spend(made, Usage(output_tokens=50_000), 1)
    yuan, dollars = (wallets._wallet("acct", name) for name in ("CNY", "USD"))
    assert (yuan.available, yuan.idle, made.hold.wallet) == (NANO, True, dollars)
    assert dollars.available == NANO // 20
    wallets.go_on(made)
    wallets.spend(made, Usage(output_tokens=100_001), 1)
    with pytest.raises(RelayError, match="balance_short"):
        wallets.go_on(made)
    made.hold.void()
    assert dollars.available == NANO // 10


@pytest.mark.parametrize(("target", "usual", "most"), [
    ("/v1/images/edits", (1000, 1056, 1, 0, 0), (1000, 81_920, 10, 0, 0)),
    ("/v1/audio/transcriptions", (1060, 24, 0, 3, 0), (1220, 88, 0, 11, 0)),
    ("/v1/messages/count_tokens", (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ("/v1/embeddings", (6, 0, 0, 0, 0), (22, 0, 0, 0, 0)),
    ("/v1/realtime", (4096, 4096, 0, 0, 0), (4096, 4096, 0, 0, 0)),
    ("/v1/chat/completions", (6, 1000, 0, 0, 0), (22, 10_000, 0, 0, 0)),
])
def test_what_a_call_is_taken_for(
    target: str, usual: tuple[int, ...], most: tuple[int, ...]
) -> None:
    made, plan = deployments()
    made.target, made.body_bytes = target_of(target, "openai"), 8000
    endpoint = made.target.endpoint
    raw = None if endpoint is not None and endpoint.body == "multipart" else b"x" * 22
    assert Wallets()._quantities(made, plan, raw) == (usual, most)


@pytest.mark.parametrize("marked", [True, False])
def test_how_much_is_set_aside_for_input_without_a_bound_is_the_operators(marked: bool) -> None:
    made, plan = deployments()
    made.policy = SimpleNamespace(  # type: ignore[assignment]
        billing=BillingConfig(prepaid=True, input_tokens_max=300))
    assert made.ask is not None
    made.ask.marks = frozenset({OPEN}) if marked else frozenset()
    usual, most = Wallets()._quantities(made, plan, b"{}")
    assert (usual.input_tokens, most.input_tokens) == (1, 300 if marked else 2)


@pytest.mark.parametrize(("fields", "known", "most"), [
    ({"max_completion_tokens": 1}, (True, True), 1),
    ({"max_completion_tokens": 1}, (True, False), 10_000),
    ({"max_completion_tokens": 20_000}, (False, False), 20_000),
    ({"max_completion_tokens": 1, "max_tokens": 2}, (False, False), 2),
    ({"max_tokens": 1}, (False, False), 1),
])
def test_a_bound_that_a_provider_may_not_know_is_none(
    fields: dict[str, int], known: tuple[bool, bool], most: int
) -> None:
    """`max_completion_tokens: 1` alone set aside one token where a provider that goes by
    `max_tokens` made thousands: any number of calls at once on any balance."""
    made, plan = deployments(of("a", output=1), of("b", output=1), **fields)
    for place, knows in zip(plan.places, known, strict=True):
        place.provider.knows_completion_bound = knows  # type: ignore[misc]
    usual, longest = Wallets()._quantities(made, plan, b"{}")
    assert (usual.output_tokens, longest.output_tokens) == (max(fields.values()), most)
