"""The memo of prompt counts: right, bounded, apart by account, and without text."""

import pytest

from relayd.relay import prompt_memo
from relayd.relay.count import count_text
from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire import body as wire_body
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.known import Known
from relayd.wire.walk import BodyPolicy

LONG = "The relay forwards what it is given, and keeps nothing of it. " * 20
CHAT = BY_OPERATION["chat"]


def body(*texts: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text} for text in texts]}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "claude-sonnet-4-5"])
def test_counts_are_those_without_it(encodings: Encodings, model: str) -> None:
    memo = PromptMemo(b"k" * 32).of("acct_1")
    encoding = encoding_for(model)
    for texts in ((LONG,), (LONG, "hi"), (LONG, LONG[::-1]), (LONG,)):
        fields = body(*texts)
        assert count_prompt(CHAT, fields, encoding, encodings, memo) == count_prompt(
            CHAT, fields, encoding, encodings)


@pytest.mark.parametrize(("operations", "raw"), [
    (("chat", "messages"), b'{"model":"m","messages":[{"role":"user","content":"hi"},7]}'),
    (("messages", "generate"),
     b'{"model":"m","tools":[{"name":"Read","functionDeclarations":[{"name":"Read"}]}]}'),
])
def test_one_text_counts_by_the_rule_of_its_endpoint(
    encodings: Encodings, monkeypatch: pytest.MonkeyPatch, operations: tuple[str, ...], raw: bytes
) -> None:
    """Chat and messages of one model, from one account, may hold the same element."""
    monkeypatch.setattr(wire_body, "SPLIT_BYTES_MIN", 0)
    memo = PromptMemo(b"k" * 32).of("acct_1")
    gpt = encoding_for("gpt-4o")
    for operation in operations * 2:
        endpoint = BY_OPERATION[operation]
        known = Known(BodyPolicy(), 254)
        fields = wire_body.read(endpoint, raw, BodyPolicy(), "m", known).fields
        plain = wire_body.read(endpoint, raw, BodyPolicy(), "m").fields
        assert count_prompt(endpoint, fields, gpt, encodings, memo) == count_prompt(
            endpoint, plain, gpt, encodings)


def test_a_known_text_is_not_encoded_again(encodings: Encodings) -> None:
    whole = PromptMemo(b"k" * 32)
    memo = whole.of("acct_1")
    gpt = encoding_for("gpt-4o")
    first = count_prompt(CHAT, body(LONG), gpt, encodings, memo)
    for text, tokens in ((LONG, count_text(encodings, "o200k_base", LONG, len(LONG))[0]),
                         ("user", 1)):
        [key] = [key for key, kept in whole.texts.items() if kept == tokens]
        assert key == hash(text) ^ len(text) ^ memo.place_of_texts(gpt)
        whole.put(key, tokens + 1_000_000)
    assert count_prompt(CHAT, body(LONG), gpt, encodings, memo) == (first[0] + 2_000_000, True)
    assert count_prompt(CHAT, body(LONG), gpt, encodings, whole.of("acct_2")) == first


def test_texts_of_the_same_bytes_in_memory_are_two(encodings: Encodings) -> None:
    """Latin letters are a byte each in Python's memory, other characters two or four."""
    latin, other = "ABCDEFGH", "\u4241\u4443\u4645\u4847"
    assert hash(latin) == hash(other)
    memo = PromptMemo(b"k" * 32).of("acct_1")
    gpt = encoding_for("gpt-4o")
    for text in (latin, other, latin):
        assert count_prompt(CHAT, body(text), gpt, encodings, memo) == count_prompt(
            CHAT, body(text), gpt, encodings)


def test_what_is_not_exact_is_not_kept(encodings: Encodings) -> None:
    whole = PromptMemo(b"k" * 32)
    count_prompt(CHAT, body(LONG), encoding_for("gpt-4o"), Encodings(), whole.of("acct_1"))
    count_prompt(CHAT, body("a" * 9000), encoding_for("gpt-4o"), encodings, whole.of("acct_1"))
    assert list(whole.texts.values()) == [1]  # the role


def test_accounts_and_encodings_and_processes_do_not_share() -> None:
    whole = PromptMemo(b"k" * 32)
    gpt, older = encoding_for("gpt-4o"), encoding_for("gpt-4")
    places = {
        whole.of("acct_1").place_of_texts(gpt),
        whole.of("acct_2").place_of_texts(gpt),
        whole.of("acct_1").place_of_texts(older),
        PromptMemo(b"l" * 32).of("acct_1").place_of_texts(gpt),
        whole.of("acct_1").place("tools", gpt),
        whole.of("acct_1").place("system", gpt),
        whole.of("acct_1").place("tools", encoding_for("gpt-5")),
        whole.of("acct_2").place("tools", gpt),
    }
    assert len(places) == 8
    assert whole.of("acct_1").place_of_texts(gpt) in places


def test_it_is_bounded_and_holds_no_text(encodings: Encodings) -> None:
    whole = PromptMemo(b"k" * 32, entries_max=10)
    for number in range(25):
        count_prompt(CHAT, body(f"{LONG}{number}"), encoding_for("gpt-4o"), encodings,
                     whole.of("acct_1"))
        whole.put_element(number, (1, 1, 1))
        assert len(whole.texts) <= 10 and len(whole.elements) <= 10
    for held in (whole.texts, whole.elements):
        assert held and all(type(key) is int for key in held)
        assert LONG[:40] not in repr(held)


def test_accounts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_memo, "ACCOUNTS_MAX", 3)
    whole = PromptMemo(b"k" * 32)
    gpt = encoding_for("gpt-4o")
    place = whole.of("acct_1").place_of_texts(gpt)
    for number in range(2, 9):
        whole.of(f"acct_{number}")
        assert len(whole.accounts) <= 3
    assert whole.of("acct_1").place_of_texts(gpt) == place


def test_a_lone_surrogate_counts_as_without_it(encodings: Encodings) -> None:
    memo = PromptMemo(b"k" * 32).of("acct_1")
    gpt = encoding_for("gpt-4o")
    for _ in range(2):
        assert count_prompt(CHAT, body("\ud83d" * 60), gpt, encodings, memo) == count_prompt(
            CHAT, body("\ud83d" * 60), gpt, encodings)
