"""Encodings come from the shipped files alone, unaltered; every model name has its row."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken
import toktok
from tiktoken_ext import openai_public

from relayd.relay import tokenizer
from relayd.relay.tokenizer import (
    FAMILIES, FILES, NAMES, O200K_HAN, ORDINARY_CHARACTERS_MAX, R50K,
)
from relayd.relay.tokenizer import Encodings, ModelEncoding, encoding_for, estimate, read_ranks
from tests.shared import ROOT

RANKS = Path(tokenizer.__file__).parent / "ranks"


@pytest.mark.parametrize("digest", [*FILES, R50K])
def test_shipped_ranks_are_those_published(digest: str) -> None:
    assert hashlib.sha256(read_ranks(digest)).hexdigest() == digest


@pytest.mark.parametrize("digest", [*FILES, R50K])
def test_hashes_are_those_that_tiktoken_expects(digest: str) -> None:
    assert digest in Path(openai_public.__file__).read_text()


def test_shipped_files_are_small() -> None:
    assert sum(file.stat().st_size for file in RANKS.glob("*.xz")) <= 2_100_000


OFFLINE = """
import socket, sys
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from relayd.relay.tokenizer import Encodings
import tiktoken
e = Encodings()
e.load()
assert e.count("o200k_base", "hello world") == (2, True)
assert tiktoken.encoding_for_model("gpt-4o") is e.get("o200k_base")
for name in ("gpt2", "nothing"):
    try:
        tiktoken.get_encoding(name)
    except (LookupError, ValueError):
        continue
    sys.exit("resolved " + name)
"""


def test_a_fresh_process_loads_without_a_network() -> None:
    subprocess.run([sys.executable, "-c", OFFLINE], check=True, timeout=60,
                   env={"TIKTOKEN_CACHE_DIR": "/nonexistent"})


def test_an_unknown_encoding_raises_and_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket, "socket", lambda *a, **k: opened.append(a))
    with pytest.raises(LookupError):
        Encodings().load(("nothing_base",))
    assert opened == []


@pytest.mark.parametrize("digest", [None, "0" * 64])
def test_the_loader_answers_only_for_a_shipped_hash(encodings: Encodings, digest: str) -> None:
    with pytest.raises(LookupError):
        openai_public.load_tiktoken_bpe("https://example.invalid/x.tiktoken", digest)


@pytest.mark.parametrize("damage", [b"", b"not xz", None])
def test_an_altered_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    digest = next(d for d, name in FILES.items() if name == "p50k_base")
    (tmp_path / "ranks").mkdir()
    if damage is None:  # a sound file, but another one
        damage = (RANKS / "cl100k_base.tiktoken.xz").read_bytes()
    (tmp_path / "ranks" / "p50k_base.tiktoken.xz").write_bytes(damage)
    monkeypatch.setattr(tokenizer, "files", lambda _package: tmp_path)
    with pytest.raises(ValueError):
        read_ranks(digest)
    (tmp_path / "ranks" / "p50k_base.tiktoken.xz").unlink()
    with pytest.raises(OSError):
        read_ranks(digest)


TEXTS = ["", "hello world", "I'll we'Ve", "你好，世界。", "  \t\n\n  x", "def f(x):\n    return x\n",
         "ﬀ e\u0301 \u200d👩‍👩‍👧 नमस्ते สวัสดี", "1234567 12a3", "<|endoftext|> <|im_start|>",
         "\x00\x1c\x85\xa0"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_counts_agree_with_an_independent_tokenizer(
    encodings: Encodings, name: str, text: str
) -> None:
    assert encodings.count(name, text) == (toktok.batch_count([text], name)[0], True)


@pytest.mark.parametrize(("text", "more"), [
    ("", 0), ("hello", 0), ("café – 5 °C 🚢", 0), ("船", 0), ("渡船中午开船", 1), ("渡船每天开两班。", 1),
    ("배는 정오에 떠난다", 4), ("\ud83d渡船每天", 1), ("フェリーは出ます", 0), ("渡船每天" * 4096, 4096),
])
def test_chinese_and_korean_are_more_for_claude(
    encodings: Encodings, text: str, more: int
) -> None:
    plain, exact = encodings.count("o200k_base", text)
    assert encodings.count(O200K_HAN, text) == (plain + more, exact)


CHINESE = ("渡船每天早上七点从码头开出，中午以前回来。如果风太大，船长会在前一天晚上通知乘客，"
           "票可以改到下一班，也可以退。岛上没有旅馆，请自己带水和午饭。")


@pytest.mark.parametrize(("model", "tokens"), [("claude-sonnet-4-6", 86), ("claude-opus-5", 84)])
def test_chinese_is_near_what_claude_takes(
    encodings: Encodings, model: str, tokens: int
) -> None:
    row = encoding_for(model)
    assert row.scaled(encodings.count(row.name, CHINESE)[0]) == pytest.approx(tokens, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_quick_way_is_for_texts_that_no_pattern_gives_up_on(
    encodings: Encodings, name: str
) -> None:
    encoding = encodings.get(name)
    assert encoding is not None
    for unit in (" ", "\n", " \r", "a", "A", "ǅ", "ʰ", "字", "\u0301", "9", "!", "/", "'s", "\t1",
                 "aA", "👩‍", "<|endoftext|>", "\ud83d"):
        for end in ("", "x", " ", "\n"):
            text = (unit * ORDINARY_CHARACTERS_MAX)[:ORDINARY_CHARACTERS_MAX - len(end)] + end
            whole = len(encoding.encode(text, disallowed_special=()))
            assert encodings.count(name, text) == (whole, True)
            assert encodings.count(name, text + unit)[1]


def test_lone_surrogates_count_as_replacement(encodings: Encodings) -> None:
    assert encodings.count("o200k_base", "a\ud83db") == encodings.count("o200k_base", "a\ufffdb")


def test_a_run_that_tiktoken_refuses_is_estimated_not_raised(encodings: Encodings) -> None:
    run = " " * 1_000_000
    with pytest.raises(ValueError):
        tiktoken.get_encoding("o200k_base").encode(run, disallowed_special=())
    assert encodings.count("o200k_base", run) == (250_000, False)


def test_a_panic_of_the_tokenizer_does_not_get_out(
    encodings: Encodings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    encoding = encodings.get("o200k_base")
    assert encoding is not None
    loaded = Encodings()
    loaded.load(("o200k_base",))
    monkeypatch.setattr(tiktoken.Encoding, "encode", lambda self, text, disallowed_special:
                        self.encode_ordinary(text))
    run = " " * 1_000_000
    with pytest.raises(BaseException, match="MaxStackSizeExceeded|max stack|unwrap") as caught:
        encoding.encode(run, disallowed_special=())
    assert not isinstance(caught.value, Exception)
    assert loaded.count("o200k_base", run) == (250_000, False)
    assert "panicked" in capfd.readouterr().err


def test_what_is_no_panic_gets_out(
    encodings: Encodings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for way, size in (("encode_ordinary", 1), ("encode", ORDINARY_CHARACTERS_MAX + 1)):
        monkeypatch.setattr(tiktoken.Encoding, way, stopped)
        with pytest.raises(KeyboardInterrupt):
            encodings.count("o200k_base", "x" * size)


def test_before_loading_counts_are_estimates_and_say_so() -> None:
    empty = Encodings()
    assert empty.get("o200k_base") is None
    assert empty.count("o200k_base", "twelve chars") == (3, False)


@pytest.mark.parametrize(("text", "tokens"), [
    ("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("你好世界", 3), ("\ud800", 1)])
def test_estimate(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


O200K, CL100K = ("o200k_base", True, 1000), ("cl100k_base", True, 1000)
CLAUDE, CLAUDE_NEW = (O200K_HAN, False, 1150), ("o200k_base", False, 1500)
AS_IS, PLUS_5, MISTRAL = (("o200k_base", False, factor) for factor in (1000, 1050, 1150))


@pytest.mark.parametrize(("model", "expected"), [
    ("gpt-4o", O200K), ("gpt-4o-2024-08-06", O200K), ("openai/gpt-4o-mini", O200K),
    ("ft:gpt-4o:org:name:id", O200K), ("GPT-4o", O200K), ("chatgpt-4o-latest", O200K),
    ("gpt-4.1-nano", O200K), ("gpt-4.5-preview", O200K), ("gpt-5", O200K),
    ("gpt-5.4-nano-2026-03-17", O200K), ("o1-preview", O200K), ("o3", O200K),
    ("openai/o4-mini", O200K), ("openai/gpt-oss-120b", O200K), ("gpt-oss:20b", O200K),
    ("gpt-4", CL100K), ("gpt-4-0613", CL100K), ("gpt-4-turbo", CL100K),
    ("gpt-3.5-turbo-0125", CL100K), ("gpt-35-turbo", CL100K), ("ft:gpt-3.5-turbo:x", CL100K),
    ("text-embedding-3-small", CL100K), ("text-embedding-ada-002", CL100K),
    ("davinci-002", CL100K), ("babbage-002", CL100K),
    ("text-davinci-003", ("p50k_base", True, 1000)), ("davinci", ("r50k_base", True, 1000)),
    ("claude-2.1", CLAUDE), ("claude-3-7-sonnet-20250219", CLAUDE),
    ("claude-3-5-sonnet@20240620", CLAUDE), ("claude-opus-4-20250514", CLAUDE),
    ("claude-haiku-4-5-20251001", CLAUDE), ("claude-opus-4-6", CLAUDE),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", CLAUDE),
    ("anthropic/claude-haiku-4.5", CLAUDE),
    ("claude-opus-4-7", CLAUDE_NEW), ("claude-opus-4.8", CLAUDE_NEW),
    ("claude-sonnet-5", CLAUDE_NEW), ("claude-opus-5-20270101", CLAUDE_NEW),
    ("gemini-2.5-pro", PLUS_5), ("models/gemini-3-pro", PLUS_5), ("meta.llama3-1", PLUS_5),
    ("meta-llama/Llama-3.3-70B", PLUS_5), ("mistral-small-latest", MISTRAL),
    ("ministral-14b", MISTRAL), ("mistralai/Mixtral-8x7B", MISTRAL),
    ("qwen-turbo", AS_IS), ("deepseek-v4-flash", AS_IS), ("zai/GLM-5.2", AS_IS),
    ("moonshotai/kimi-k2", AS_IS), ("grok-4", AS_IS), ("o365-model", AS_IS),
    ("", AS_IS), ("x/", AS_IS),
])
def test_every_model_has_its_encoding(model: str, expected: tuple[str, bool, int]) -> None:
    row = encoding_for(model)
    assert (row.name, row.exact, row.factor_permille) == expected


def told() -> list[tuple[list[str], str, str, int, str]]:
    """The rows of the table in docs: names, family, encoding, factor in permille, error."""
    text = (ROOT / "docs/counting.md").read_text("utf-8")
    rows = text.partition("<!-- models: checked by tests -->")[2].partition("<!-- end")[0]
    cells = [[cell.strip() for cell in row.strip("| ").split("|")]
             for row in rows.strip().splitlines()[2:]]
    return [(re.findall(r"`([^`]+)`", names) or [""], family.removeprefix("-"), encoding,
             round(float(factor) * 1000), error)
            for names, family, encoding, factor, error in cells]


def test_the_table_in_docs_is_the_table_in_code() -> None:
    rows = told()
    for names, family, encoding, factor, error in rows:
        for name in names:
            row = encoding_for(name)
            assert (row.family, row.name, row.factor_permille) == (family, encoding, factor), name
            assert row.exact is error.startswith("exact"), name
    assert {family for _, family, *_ in rows} == {*FAMILIES, ""}


@pytest.mark.parametrize(("tokens", "scaled"), [(0, 0), (1, 1), (10, 12), (100, 115), (13, 15)])
def test_factor_rounds_half_up(tokens: int, scaled: int) -> None:
    assert ModelEncoding("o200k_base", False, 1150).scaled(tokens) == scaled
