"""Counts tokens of text that arrives in pieces, exactly, holding no more of it than it must.

Law: the count equals that of encoding each whole text at once. A text is cut only where every
encoding here ends a piece of its split pattern whatever follows, so the parts' tokens are the
whole's. Where that cannot be had in bounded time or space, the count says that it is approximate.

A position k (between s[k-1] and s[k]) is such a place when
  A  s[k-1] is not white space and s[k] is a space or a tab; or
  B  s[k-1] is a letter or digit of `_WORD` and s[k] is CR, LF or punctuation of `_MARKS`; or
  C  one of the two is an ASCII letter and the other an ASCII digit.
Why: in all split patterns (o200k, cl100k, p50k, r50k) a word's characters after its first are
letters, marks or a contraction, which starts with an apostrophe (hence not in `_MARKS`); a
number's are digits; punctuation's are punctuation, then CR or LF, never after a letter or digit.
So no piece can hold both sides of k. Nothing looks behind, and what looks ahead (`(?!\\S)`, `$`)
belongs to white space, which s[k-1] is not. `_WORD` has only ranges whose Unicode category cannot
change, so Python's tables and tiktoken's need not agree. The proof for each pattern is in
docs/decisions/0011-counting.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from relayd.relay.tokenizer import Encodings, ModelEncoding, estimate

FLUSH_CHARACTERS: Final = 1024
"""Fewer characters than this are held, not encoded: many small encodings cost more."""

PIECE_CHARACTERS_MAX: Final = 8 * 1024
"""The most that one call of the tokenizer gets (2 ms on hostile input), and the most that is held
of one text. A text that has no place to cut for so long is cut anyway: off by 4 tokens at most."""

LOOP_CHARACTERS_MAX: Final = PIECE_CHARACTERS_MAX
"""A burst longer than this is counted on a thread, where there is one."""

TEXT_CHARACTERS_MAX: Final = 1024 * 1024
"""The most of one burst that is encoded, 0.3 s of a thread at worst; the rest is reckoned in
proportion."""

STREAMS_MAX: Final = 128
"""Texts that one counter holds apart (OpenAI's `n` is at most 128). One more ends the oldest."""

ENDED_MAX: Final = 4096
"""Ended texts that are known, to notice when one goes on."""

_WORD: Final = "A-Za-z0-9\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
_MARKS: Final = re.escape(
    "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~–—‘’“”…、。《》「」『』【】！（），：；？")
# greedy: the last place to cut; the match ends there
_LAST_CUT: Final = re.compile(
    rf".*(?:\S(?=[ \t])|[{_WORD}](?=[\r\n{_MARKS}])|[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z]))", re.S)


Count = tuple[int, bool]
"""Tokens under an encoding, and whether they are exact."""


def last_cut(text: str, start: int, end: int) -> int:
    """The last position k, start < k < end, where `text` may be cut; `start` where there is none.

    Time is linear in the distance from `end` to k.
    """
    match = _LAST_CUT.match(text, start, end)
    return start if match is None else match.end()


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces of at most `PIECE_CHARACTERS_MAX`; True with those cut off anywhere."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS_MAX:
        end = start + PIECE_CHARACTERS_MAX
        cut = last_cut(text, start, end + 1)
        forced = cut == start
        if forced:
            cut = end
        yield text[start:cut], forced
        start = cut
    yield text[start:], False


def count_text(encodings: Encodings, name: str, text: str, limit: int) -> Count:
    """Tokens of a whole text under an encoding, and whether that is exact.

    About `limit` characters are encoded (never fewer than one piece); the rest is reckoned in
    proportion.
    """
    if len(text) <= PIECE_CHARACTERS_MAX:
        return encodings.count(name, text)
    tokens, read, exact = 0, 0, True
    for piece, forced in pieces(text):
        counted, sure = encodings.count(name, piece)
        tokens += counted
        read += len(piece)
        exact = exact and sure and not forced
        if read >= limit:
            break
    if read < len(text):
        return tokens * len(text) // read, False
    return tokens, exact


Elsewhere = Callable[[str, str, Callable[[Count | None], None]], None]
"""Counts a text (second) under an encoding (first) on a thread, then says so on this one; None
where that failed."""


class TextCounter:
    """Counts the text of one reply. Not for more than one thread.

    A reply may hold several texts (choices, reasoning, tool arguments) whose pieces take turns;
    each is a string of its own in truth, so `stream`, any integer, tells them apart. With
    `elsewhere`, long bursts are counted on a thread: while some are `pending` the total holds an
    estimate of them, and `when_done` is called once none is.
    """

    __slots__ = ("pending", "when_done", "_encodings", "_encoding", "_elsewhere", "_tokens",
                 "_buffers", "_lone", "_ended", "_approximate")

    def __init__(self, encodings: Encodings, encoding: ModelEncoding,
                 elsewhere: Elsewhere | None = None) -> None:
        self.pending = 0
        self.when_done: Callable[[], None] | None = None
        self._encodings = encodings
        self._encoding = encoding
        self._elsewhere = elsewhere
        self._tokens = 0
        self._buffers: dict[int, _Buffer] = {}
        self._lone: tuple[int, str] | None = None
        self._ended: set[int] = set()
        self._approximate = False

    @property
    def approximate(self) -> bool:
        """True where the total may differ from that of the whole texts, by this encoding."""
        return self._approximate or self.pending > 0

    def add(self, text: str, stream: int = 0) -> None:
        """Takes the next piece of a text; surrogates that belong together may come apart."""
        buffer = self._buffers.get(stream)
        if buffer is None:
            if self._lone is None and not self._buffers and len(text) < FLUSH_CHARACTERS:
                self._lone = stream, text  # all there is of most replies that come whole
                return
            buffer = self._open(stream, text)
        else:
            buffer.parts.append(text)
            buffer.size += len(text)
        if buffer.size >= buffer.due:
            self._flush(buffer)

    def total(self) -> int:
        """Tokens of all texts so far, by the model's factor. Text may be added afterwards."""
        tokens, encoding = self._tokens, self._encoding
        if self._lone is not None:
            counted, exact = self._encodings.count(encoding.name, self._lone[1])
            if not exact:
                self._approximate = True
            tokens += counted
        for buffer in self._buffers.values():
            tokens += self._count("".join(buffer.parts))
        return tokens if encoding.factor_permille == 1000 else encoding.scaled(tokens)

    def _open(self, stream: int, text: str) -> _Buffer:
        """The buffer of a text that has none, with its next piece in it."""
        lone, self._lone = self._lone, None
        if lone is not None:
            buffer = self._buffers[lone[0]] = _Buffer(lone[1])
            if stream == lone[0]:
                buffer.parts.append(text)
                buffer.size += len(text)
                return buffer
        if stream in self._ended:
            self._approximate = True  # it was cut where it may not be
        if len(self._buffers) >= STREAMS_MAX:
            oldest = next(iter(self._buffers))
            self._tokens += self._count("".join(self._buffers.pop(oldest).parts))
            if len(self._ended) < ENDED_MAX:
                self._ended.add(oldest)
            else:
                self._approximate = True
        buffer = self._buffers[stream] = _Buffer(text)
        return buffer

    def _flush(self, buffer: _Buffer) -> None:
        """Encodes up to the last cut and keeps what follows it."""
        text = "".join(buffer.parts)
        # what was kept has no cut inside, so the search starts at its last character
        cut = last_cut(text, max(buffer.kept - 1, 0), len(text))
        if cut < buffer.kept:
            cut = 0
        if len(text) - cut >= PIECE_CHARACTERS_MAX:
            self._approximate = True
            cut = len(text)
        if cut > LOOP_CHARACTERS_MAX and self._elsewhere is not None:
            self._send(text[:cut], self._elsewhere)
        elif cut:
            self._tokens += self._count(text[:cut])
        tail = text[cut:]
        buffer.parts = [tail]
        buffer.size = buffer.kept = len(tail)
        # doubling keeps the whole search linear
        buffer.due = max(FLUSH_CHARACTERS, min(2 * len(tail), PIECE_CHARACTERS_MAX))

    def _send(self, text: str, elsewhere: Elsewhere) -> None:
        guess = estimate(text)
        self._tokens += guess
        self.pending += 1
        elsewhere(self._encoding.name, text, partial(self._take, guess))

    def _take(self, guess: int, count: Count | None) -> None:
        """A burst was counted on its thread, or could not be."""
        self.pending -= 1
        if count is None:
            self._approximate = True
        else:
            self._tokens += count[0] - guess
            self._approximate = self._approximate or not count[1]
        if not self.pending and self.when_done is not None:
            self.when_done()

    def _count(self, text: str) -> int:
        if len(text) <= PIECE_CHARACTERS_MAX:
            tokens, exact = self._encodings.count(self._encoding.name, text)
        else:
            tokens, exact = count_text(
                self._encodings, self._encoding.name, text, TEXT_CHARACTERS_MAX)
        if not exact:
            self._approximate = True
        return tokens


class _Buffer:
    """Text of one stream that is not counted yet; the first `kept` characters have no cut."""

    __slots__ = ("parts", "size", "due", "kept")

    def __init__(self, text: str) -> None:
        self.parts = [text]
        self.size = len(text)
        self.due = FLUSH_CHARACTERS
        self.kept = 0
