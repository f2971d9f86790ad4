"""The memo of prompt counts: right, bounded, apart by account, and without text."""

import gc

import pytest

from relayd.relay.count import count_text
from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_memo import TEXT_CHARACTERS_MIN, PromptMemo
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION

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


def test_a_known_text_is_not_encoded_again(encodings: Encodings) -> None:
    memo = PromptMemo(b"k" * 32).of("acct_1")
    digest = memo.digest("o200k_base", LONG)
    assert memo.get(digest) is None
    count_prompt(CHAT, body(LONG), encoding_for("gpt-4o"), encodings, memo)
    assert memo.get(digest) == count_text(encodings, "o200k_base", LONG, len(LONG))[0]
    memo.put(digest, 1_000_000)
    assert count_prompt(CHAT, body(LONG), encoding_for("gpt-4o"), encodings, memo)[0] > 1_000_000


def test_short_texts_are_not_kept(encodings: Encodings) -> None:
    memo = PromptMemo(b"k" * 32).of("acct_1")
    short = "x" * (TEXT_CHARACTERS_MIN - 1)
    count_prompt(CHAT, body(short), encoding_for("gpt-4o"), encodings, memo)
    assert memo.get(memo.digest("o200k_base", short)) is None


def test_accounts_and_encodings_and_processes_do_not_share() -> None:
    whole = PromptMemo(b"k" * 32)
    digests = {
        whole.of("acct_1").digest("o200k_base", LONG),
        whole.of("acct_2").digest("o200k_base", LONG),
        whole.of("acct_1").digest("cl100k_base", LONG),
        PromptMemo(b"l" * 32).of("acct_1").digest("o200k_base", LONG),
    }
    assert len(digests) == 4
    assert whole.of("acct_1").digest("o200k_base", LONG) in digests


def test_it_is_bounded_and_holds_no_text() -> None:
    whole = PromptMemo(b"k" * 32, entries_max=10)
    memo = whole.of("acct_1")
    for number in range(25):
        memo.put(memo.digest("o200k_base", f"{LONG}{number}"), number)
    held = [value for value in gc.get_referents(whole) if isinstance(value, dict)]
    assert 0 < max(map(len, held)) <= 10
    assert LONG[:40] not in repr(held)


def test_a_lone_surrogate_has_a_digest() -> None:
    assert PromptMemo(b"k" * 32).of("a").digest("o200k_base", "\ud83d" * 60)
