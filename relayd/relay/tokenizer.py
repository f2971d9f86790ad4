"""Which encoding counts for a model, and the encodings themselves, from the shipped rank files.

Law: nothing is ever fetched. tiktoken's own loader is replaced by one that answers from the
shipped files, whose SHA-256 is checked, and raises for all else; an unknown encoding raises.
"""

from __future__ import annotations

import hashlib
import lzma
import re
from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final, NoReturn

import tiktoken
from tiktoken_ext import openai_public  # type: ignore[import-untyped]

FILES: Final = {
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": "o200k_base",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": "cl100k_base",
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069": "p50k_base",
}
"""Shipped rank files by the SHA-256 of their content (`relay/ranks/README.md`)."""

R50K: Final = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
"""r50k_base has no file of its own: it is p50k_base up to the rank where the two part."""

R50K_RANKS: Final = 50256

NAMES: Final = ("o200k_base", "cl100k_base", "p50k_base", "r50k_base")
"""Every encoding that can be loaded."""

O200K_HAN: Final = "o200k_han"
"""o200k_base, and one more for every four characters of Chinese and every two of Korean: those of
Claude up to 4.6, whose own encoding has fewer words of these languages."""

_CHINESE: Final = bytes(range(0xE4, 0xEA))
_NEITHER: Final = bytes(byte for byte in range(256) if not 0xE4 <= byte <= 0xED)
# how UTF-8 begins U+4000 to U+9FFF, and what does not begin U+4000 to U+D7FF

_PANIC: Final = "PanicException"
# pyo3 makes this class for each module anew and exports it nowhere; it is no Exception

ORDINARY_CHARACTERS_MAX: Final = 4096
"""Up to here tiktoken's `encode_ordinary` is used, which saves the search for special tokens that
are none here. Where its pattern gives up (after a million steps; here it takes 8 a character at
most) it ends in a Rust panic where `encode` raises."""

BYTES_PER_TOKEN: Final = 4
"""UTF-8 bytes of one token where no encoding is loaded: English 4.3, Chinese 4.2, JSON 3.3."""


class Encodings:
    """The encodings that are loaded. `load` is slow; everything else is safe on any thread.

    tiktoken keeps an encoding for the whole process, so a second `Encodings` loads at no cost.
    """

    __slots__ = ("_loaded",)

    def __init__(self) -> None:
        self._loaded: dict[str, tiktoken.Encoding] = {}

    def load(self, names: Iterable[str] = NAMES) -> None:
        """Loads encodings by name, 0.1 to 0.5 s of CPU and 20 to 75 MiB each: run it on a thread.

        Raises LookupError for an unknown name, ValueError for a file that is not as shipped and
        OSError for one that is missing.
        """
        openai_public.load_tiktoken_bpe = _load_shipped
        openai_public.data_gym_to_mergeable_bpe_ranks = _refuse
        for name in names:
            if name not in NAMES:
                raise LookupError(f"no rank file is shipped for the encoding {name}")
            self._loaded[name] = tiktoken.get_encoding(name)
            if name == "o200k_base":
                self._loaded[O200K_HAN] = self._loaded[name]

    def get(self, name: str) -> tiktoken.Encoding | None:
        """A loaded encoding, or None."""
        return self._loaded.get(name)

    def count(self, name: str, text: str) -> tuple[int, bool]:
        """Tokens of a text, and whether that is exact: it is not while the encoding is not loaded.

        Time is linear in the text, but no more than 1.6 MB/s on hostile input: pass pieces.
        """
        encoding = self._loaded.get(name)
        if encoding is None:
            return estimate(text), False
        more = 0 if name != O200K_HAN or text.isascii() else _more(text)
        try:
            if len(text) <= ORDINARY_CHARACTERS_MAX:
                return len(encoding.encode_ordinary(text)) + more, True
            return len(encoding.encode(text, disallowed_special=())) + more, True
        except ValueError:
            return estimate(text), False
        except BaseException as fault:
            if type(fault).__name__ != _PANIC:
                raise
            return estimate(text), False


def _more(text: str) -> int:
    """What `O200K_HAN` counts beyond o200k_base."""
    found = text.encode("utf-8", "surrogatepass").translate(None, _NEITHER)
    return (len(found) + len(found.translate(None, _CHINESE))) // 4


def estimate(text: str) -> int:
    """Tokens by length alone, rounded up."""
    if text.isascii():
        return -(-len(text) // BYTES_PER_TOKEN)
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def read_ranks(digest: str) -> bytes:
    """The content of the rank file with this SHA-256, checked.

    Raises LookupError where none is shipped, ValueError where the content differs.
    """
    if digest == R50K:
        lines = read_ranks(_digest_of("p50k_base")).splitlines(keepends=True)
        content = b"".join(line for line in lines if int(line.split()[1]) < R50K_RANKS)
    elif digest in FILES:
        path = files("relayd.relay") / "ranks" / f"{FILES[digest]}.tiktoken.xz"
        try:
            content = lzma.decompress(path.read_bytes())
        except (lzma.LZMAError, EOFError):
            raise ValueError(f"the rank file of {FILES[digest]} is damaged") from None
    else:
        raise LookupError("no rank file is shipped with this hash")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("a rank file is not as shipped")
    return content


def _digest_of(name: str) -> str:
    return next(digest for digest, known in FILES.items() if known == name)


def _load_shipped(tiktoken_bpe_file: str, expected_hash: str | None = None) -> dict[bytes, int]:
    """Stands for tiktoken's loader, which would fetch its first argument."""
    if expected_hash is None:
        raise LookupError("no rank file is shipped without a hash")
    words = read_ranks(expected_hash).split()
    return dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))


def _refuse(*_args: object, **_named: object) -> NoReturn:
    """Stands for tiktoken's loader of gpt2's files, which are not shipped."""
    raise LookupError("no rank file is shipped for gpt2; r50k_base has the same ranks")


@dataclass(frozen=True, slots=True)
class ModelEncoding:
    """How a model's tokens are counted: tokens under `name`, times `factor_permille` / 1000.

    `exact` says that the provider uses this very encoding. `family` picks the prompt rules.
    """

    name: str
    exact: bool
    factor_permille: int
    family: str = ""

    def scaled(self, tokens: int) -> int:
        """A count under `name` as tokens of the model, rounded half up."""
        return (tokens * self.factor_permille + 500) // 1000


def _exact(family: str, name: str = "o200k_base") -> ModelEncoding:
    return ModelEncoding(name, True, 1000, family)


def _estimated(
    family: str, factor_permille: int = 1000, name: str = "o200k_base"
) -> ModelEncoding:
    return ModelEncoding(name, False, factor_permille, family)


UNKNOWN: Final = _estimated("")

MODELS_MAX: Final = 256
"""Names whose encoding is remembered; the patterns cost 3 µs."""

# The first pattern that matches the start of a name decides. Factors are medians of reported
# output against o200k_base; 76 to 100 % of answers lie within 10 % (Mistral 62 %).
_ROWS: Final = (
    (r"gpt-(?:5\.(?:[4-9]|\d\d)|[6-9])", _exact("gpt-5.4")),
    (r"gpt-5[\w.]*-mini", _exact("gpt-5-mini")),
    (r"gpt-5[\w.]*-nano", _exact("gpt-5-nano")),
    (r"gpt-5", _exact("gpt-5")),
    (r"gpt-oss", _exact("gpt-oss")),
    (r"(?:gpt-4o-mini|o4-mini-realtime)", _exact("gpt-4o-mini")),
    (r"gpt-4\.1-mini", _exact("gpt-4.1-mini")),
    (r"gpt-4\.1-nano", _exact("gpt-4.1-nano")),
    (r"(?:gpt-4o|gpt-4\.\d|chatgpt-4o|gpt-audio|gpt-realtime|gpt-image|computer-use)",
     _exact("gpt-4o")),
    (r"(?:o4-mini|o3-mini|o1-mini|codex-mini)", _exact("o-mini")),
    (r"o[1-9](?!\d)", _exact("o")),
    (r"gpt-3\.?5-turbo-0301", _exact("gpt-3.5-0301", "cl100k_base")),
    (r"gpt-3\.?5", _exact("gpt-3.5", "cl100k_base")),
    (r"gpt-4", _exact("gpt-4", "cl100k_base")),
    (r"text-embedding-(?:3-|ada-002)", _exact("embedding", "cl100k_base")),
    (r"(?:davinci|babbage)-002", _exact("completion", "cl100k_base")),
    (r"(?:text-davinci-00[23]|code-(?:davinci|cushman))", _exact("completion", "p50k_base")),
    (r"(?:(?:text-)?(?:davinci|curie|babbage|ada)(?![a-z])|gpt-?2)",
     _exact("completion", "r50k_base")),
    (r"claude-(?:[a-z]+-)?(?:4[-.](?:[7-9](?!\d)|1\d(?!\d))|[5-9](?!\d)|[1-9]\d(?!\d))",
     _estimated("claude-5", 1500)),
    (r"claude-(?:[a-z]+-)?4[-.][56](?!\d)", _estimated("claude-4.5", 1150, O200K_HAN)),
    (r"claude-(?:[a-z]+-)?(?:[12](?!\d)|3(?!\d|[-.]7))", _estimated("claude-3", 1150, O200K_HAN)),
    (r"claude", _estimated("claude", 1150, O200K_HAN)),
    (r"gemini-(?:[3-9]|[1-9]\d|[a-z-]+-latest)", _estimated("gemini-3", 1050)),
    (r"gemini-(?:1|2[.-]0|pro(?![a-z]))", _estimated("gemini-2", 1050)),
    (r"(?:gemini|gemma|learnlm)", _estimated("gemini", 1050)),
    (r"(?:meta-)?llama-?[4-9]", _estimated("llama-4", 1050)),
    (r"(?:meta-)?llama-?3[-.]\d(?!\d*b)", _estimated("llama", 1050)),
    (r"(?:meta-)?(?:code)?llama", _estimated("llama-3", 1050)),
    (r"(?:open-)?(?:mistral|mixtral|ministral|magistral|codestral|devstral|pixtral|voxtral)",
     _estimated("mistral", 1150)),
    (r"qwen-?[3-9](?![\d.]*b)", _estimated("qwen-3")),
    (r"(?:qwen|qwq|qvq)", _estimated("qwen")),
    (r"deepseek-v[4-9]", _estimated("deepseek-4")),
    (r"deepseek", _estimated("deepseek")),
    (r"(?:chat)?glm", _estimated("glm")),
    (r"kimi-(?:k2[-.]?(?:[5-9](?!\d)|[1-9]\d(?!\d))|k[3-9]|latest)", _estimated("kimi-2.5")),
    (r"(?:kimi|moonshot)", _estimated("kimi")),
    (r"grok", _estimated("grok")),
    (r"sonar", _estimated("sonar")),
)
FAMILIES: Final = tuple(dict.fromkeys(row[1].family for row in _ROWS))
"""Every family that a name can belong to; of an unknown name it is empty."""
_MODEL: Final = re.compile("|".join(f"(?P<r{n}>{row[0]})" for n, row in enumerate(_ROWS)))
_BY_GROUP: Final = {f"r{n}": row[1] for n, row in enumerate(_ROWS)}
# "us.anthropic.claude-3-...", "meta.llama3-...": a region and a maker before the name
_MAKER: Final = re.compile(
    r"(?:[a-z]{2,6}\.)?(?:anthropic|meta|mistral|qwen|deepseek|openai|google)\.")


@lru_cache(MODELS_MAX)
def encoding_for(model: str) -> ModelEncoding:
    """The encoding of a model name, dated, fine-tuned or with a provider before it.

    A name that no row knows is counted with o200k_base and is not exact.
    """
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    maker = _MAKER.match(name)
    match = _MODEL.match(name, maker.end() if maker else 0)
    if match is None or match.lastgroup is None:
        return UNKNOWN
    return _BY_GROUP[match.lastgroup]
