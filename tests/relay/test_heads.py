"""Upstream heads: credentials in turn, the same head for every client, pseudonyms by epoch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from relayd.core.snapshot import KeyGrant
from relayd.ops.config import PrivacyConfig
from relayd.relay.exchange import Exchange
from relayd.relay.heads import Heads
from relayd.wire.identity import EPOCH_MS
from tests.fakes.daemon import CREDENTIAL, provider
from tests.fakes.rawclient import ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

NOW_MS = 1_800_000_000_000


def secret(epoch: int) -> bytes:
    return b"%032d" % epoch


def call(account: str, started_at_ms: int) -> Exchange:
    grant = KeyGrant("key_1", account, None, None, None, False)
    return SimpleNamespace(grant=grant, started_at_ms=started_at_ms)  # type: ignore


async def test_credentials_take_turns(opened: Opened) -> None:
    lane = await opened(provider_changes={"credentials": ("one", "two", "three")})
    for _ in range(7):
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    sent = [r.values(b"authorization") for r in lane.upstream.requests]
    assert sent == [[b"Bearer " + name] for name in (b"one", b"two", b"three") * 3][:7]


async def test_the_client_s_head_leaves_no_trace(opened: Opened) -> None:
    lane = await opened()
    for fields in ((), (("User-Agent", "mine/1"), ("X-Stainless-OS", "Linux"), ("Cookie", "a=b"),
                        ("X-Forwarded-For", "10.1.2.3"), ("traceparent", "00-1-2-01"))):
        raw = request_bytes(TARGET, lane.key, BODY, fields=fields)
        assert (await ask(lane.address, raw)).status == 200
    plain, marked = lane.upstream.requests
    assert plain.raw == marked.raw
    assert plain.values(b"authorization") == [b"Bearer " + CREDENTIAL.encode()]
    assert lane.key.encode() not in plain.raw


@pytest.mark.parametrize(("value", "sent"), [
    ("interleaved-thinking-2025-05-14", True), ("made-up-2025-01-01", False),
])
async def test_betas_pass_by_a_closed_list(opened: Opened, value: str, sent: bool) -> None:
    lane = await opened()
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}'
    reply = await ask(lane.address, request_bytes("/v1/messages", lane.key, body,
                                                  fields=(("anthropic-beta", value),)))
    assert lane.upstream.requests[0].values(b"anthropic-beta") == ([value.encode()] * sent)
    assert (value.encode() in reply.value(b"relay-dropped")) is not sent


def test_pseudonyms_cannot_be_joined() -> None:
    heads = Heads(PrivacyConfig(end_user="account"), secret, "b")
    one, two = provider("openai", 1, name="one"), provider("openai", 1, name="two")

    def name(who: str, where: object, now_ms: int) -> str | None:
        return heads.pseudonyms(call(who, now_ms), where).end_user(None)  # type: ignore

    first = name("acct_1", one, NOW_MS)
    assert first == name("acct_1", one, NOW_MS + 1)
    others = {name("acct_2", one, NOW_MS), name("acct_1", two, NOW_MS),
              name("acct_1", one, NOW_MS + EPOCH_MS)}
    assert len(others | {first}) == 4 and None not in others
    assert name("acct_1", one, NOW_MS) == first  # the earlier epoch's again


def test_without_a_policy_nothing_stands_for_the_end_user() -> None:
    heads = Heads(PrivacyConfig(), secret, "b")
    names = heads.pseudonyms(call("a", NOW_MS), provider("openai", 1))
    assert names.end_user("me") is None
