"""What the next body of a conversation repeats: its beginning, up to the last message that was
known, and its end, behind the messages. Both are known by one hash each and are not looked into.

What is kept of them are hashes, and offsets: where members lie that are read each time (the model,
the limits, the user), and where the bytes of known elements lie that are sent. No content.

Law: a body is taken so only if what stands between its beginning and its end is a whole number of
elements; everything about it is then what taking all of it apart would find. The beginning ends
behind an element of the list that grows. The end starts where that list is closed, or behind an
element of the list after it: of Claude Code's first system block each turn has another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from relayd.wire.split import Split
from relayd.wire.spliced import Run, Spliced
from relayd.wire.stretch import (
    AllSeen, Cut, Read, Seen, Stretch, cut, join, leading, stretch,
)

SAMPLE_BYTES: Final = 256
"""Conversations of one opening are told apart by so much before the place where they end."""
MORE_MAX: Final = 8
"""Stretches by which a beginning has grown; beyond it all but the last two become one with it."""
SETTLED: Final = 2
"""Marks of a cache move on: what was sent last may yet change."""
LAYOUT_COST: Final = 600
"""What it takes of the memory besides its stretches, in bytes."""

Mac = Callable[[memoryview], object]
"""The keyed hash: of texts that nobody can find two of with the same."""

Texts = Mapping[str, bytes | Sequence[bytes]]
Taken = dict[str, bytes | list[bytes | Run] | Spliced]
"""What a body consists of: texts to be read, and what stands for known elements."""

Value = bytes | Sequence[bytes]


class Layout:
    """How the bodies of one conversation begin and end."""

    __slots__ = ("base", "more", "tail", "opens", "sample", "cost", "used", "proven", "_stale")

    def __init__(self, base: Stretch, tail: Stretch, opens: tuple[str, ...], sample: int) -> None:
        """`opens`: the list that the beginning leaves open, then the one that the end closes."""
        self.base = base
        self.more: tuple[Stretch, ...] = ()
        self.tail = tail
        self.opens = opens
        self.sample = sample
        self.cost = LAYOUT_COST + base.cost + tail.cost
        self.used = 0
        """When it was made, or was last the beginning of a body."""
        self.proven = False
        """Whether it has been that."""
        self._stale = -1

    def goes_on(self, count: int, first: Seen | None) -> bool:
        """Whether a body that has the first `count` of the further stretches is of the same
        conversation, and not of another that began alike. `first` is what it has then, if known.

        What is known but did not follow last is of another. A mark of a cache that moves on
        changes an element first, which is not known then, or one behind the first.
        """
        if count == len(self.more):
            return True
        if first is None:
            self._stale = count
            return True
        return self._stale == count or self.more[count].cuts[0][1].tags[0] == first[0]

    def grow(self, base: Stretch, more: tuple[Stretch, ...], sample: int) -> None:
        """Takes what the last body has in common with the one before."""
        self.base = base
        self.more = more
        self.sample = sample
        self.cost = LAYOUT_COST + base.cost + self.tail.cost + sum([one.cost for one in more])
        self._stale = -1

    def match(self, raw: bytes, mac: Mac) -> Match | None:
        """How much of a body it is the beginning of, if it also is the end."""
        view = memoryview(raw)
        end, start = self.base.size, len(raw) - self.tail.size
        if (end > start or mac(view[:end]) != self.base.mac
                or mac(view[start:]) != self.tail.mac):
            return None
        count = 0
        for one in self.more:
            after = end + one.size
            if after > start or mac(view[end:after]) != one.mac:
                break
            end = after
            count += 1
        return Match(self, raw, count, end, start)


class Match:
    """One body of which a layout is the beginning and the end."""

    __slots__ = ("layout", "names", "known", "count", "_raw", "_view", "_more", "_end", "_start",
                 "_fresh")

    def __init__(self, layout: Layout, raw: bytes, more: int, end: int, start: int) -> None:
        """`more`: how many of the further stretches follow its beginning."""
        self.layout = layout
        self.names: set[str] = set()
        """What its known elements drop."""
        self.known = 0
        """How many elements the beginning and the end have."""
        self.count = 0
        """How many elements there are."""
        self._raw = raw
        self._view = memoryview(raw)
        self._more = more
        self._end = end
        self._start = start
        self._fresh: list[bytes] = []

    @property
    def fresh(self) -> int:
        """How many bytes stand between beginning and end."""
        return self._start - self._end

    def texts(self, split: Split) -> Taken | None:
        """As `Split.take`, with runs of known elements; None where the middle is not whole."""
        between = self._between(split)
        if between is None:
            return None
        layout = self.layout
        texts: Taken = {}
        self._put(texts, layout.base, 0)
        end = layout.base.size
        for one in layout.more[:self._more]:
            self._put(texts, one, end)
            end += one.size
        for name, elements in between.items():
            _open(texts, name).extend(elements)
            self.count += len(elements)
        self._put(texts, layout.tail, self._start)
        self.count += self.known
        return texts

    def _put(self, texts: Taken, part: Stretch, origin: int) -> None:
        raw = self._raw
        for name, start, stop in part.reads:
            texts[name] = raw[origin + start:origin + stop]
        view = self._view[origin:] if origin else self._view
        for name, found in part.cuts:
            self.known += len(found.tags)
            self.names |= found.names
            if found.alone:
                texts[name] = Spliced(bytes(found.text(view)), found.tag)
                continue
            elements = _open(texts, name)
            if found.tags:
                elements.append(found.run(view))

    def _between(self, split: Split) -> dict[str, list[bytes]] | None:
        """The elements between beginning and end; None where they are anything else.

        The list that grows is open before them. With it opened anew, and the last list closed,
        they are a body of these lists alone.
        """
        opens = self.layout.opens
        middle = self._raw[self._end:self._start]
        if not middle and len(opens) == 1:
            return {}
        begins = middle[:1]
        if begins != b"," and (begins != b"]" or len(opens) == 1):
            return None
        further = begins == b","
        found = split.alone(opens).take(b'{"%b":[%b]}' % (opens[0].encode(), middle[further:]))
        if found is None or found.keys() != set(opens):
            return None
        lists = {name: texts for name, texts in found.items() if isinstance(texts, list)}
        if bool(lists[opens[0]]) != further or not lists[opens[-1]]:
            return None
        self._fresh = lists[opens[0]].copy()
        return lists

    def goes_on(self, seen: AllSeen) -> bool:
        """Whether it is of the layout's conversation, not of another that began alike."""
        first = seen.get(id(self._fresh[0])) if self._fresh else None
        return self.layout.goes_on(self._more, first)

    def branch(self, seen: AllSeen, mac: Mac) -> Layout | None:
        """The layout of such a conversation, as soon as it has gone on for a while."""
        elements, _ = leading(self._fresh, seen, 1)
        if len(elements) <= SETTLED:
            return None
        del elements[-SETTLED:]
        at, entry = elements[-1]
        grown = stretch(at + entry[1], None, (), [(self.layout.opens[0], cut(elements))])
        base = self._joined((*self.layout.more[:self._more], grown), mac)
        return Layout(base, self.layout.tail, self.layout.opens, sample(self._raw, base.size))

    def extend(self, seen: AllSeen, mac: Mac) -> None:
        """Adds to the beginning what followed it and was known."""
        elements, stop = leading(self._fresh, seen, 1)
        if not elements:
            return
        layout = self.layout
        part = self._view[self._end:self._end + stop]
        grown = stretch(stop, mac(part), (), [(layout.opens[0], cut(elements))])
        more = (*layout.more[:self._more], grown)
        if len(more) <= MORE_MAX:
            layout.grow(layout.base, more, layout.sample)
        else:
            base = self._joined(more[:-SETTLED], mac)
            layout.grow(base, more[-SETTLED:], sample(self._raw, base.size))

    def _joined(self, more: Sequence[Stretch], mac: Mac) -> Stretch:
        """One beginning of the layout's and what follows it."""
        base = self.layout.base
        *others, (name, first) = base.cuts
        further = []
        end = base.size
        for one in more:
            further.append((end, one.cuts[0][1]))
            end += one.size
        return stretch(end, mac(self._view[:end]), base.reads,
                       [*others, (name, join(first, further))])


class _Parts:
    """The members of a stretch as they are found."""

    __slots__ = ("reads", "cuts")

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.cuts: list[tuple[str, Cut]] = []

    def add(self, name: str, start: int, value: Value, seen: AllSeen) -> bool:
        """A member that starts there; False where it has elements that are not known."""
        if isinstance(value, bytes):
            entry = seen.get(id(value))
            if entry is None:
                self.reads.append((name, start, start + len(value)))
            else:
                alone = cut([(start, entry)])._replace(alone=True, tag=entry[0])
                self.cuts.append((name, alone))
            return True
        elements, _ = leading(value, seen, start + 1)
        self.cuts.append((name, cut(elements)))
        return len(elements) == len(value)

    def whole(self, part: memoryview, mac: Mac) -> Stretch:
        """All of them."""
        return stretch(len(part), mac(part), self.reads, self.cuts)


def layout_of(raw: bytes, texts: Texts, grows: str, seen: AllSeen, mac: Mac) -> Layout | None:
    """The layout of a body of which enough is known, else None."""
    base = _Parts()
    places = _places(raw, texts)
    for name, start, value in places:
        if name == grows:
            break
        if not base.add(name, start, value, seen):
            return None
    else:
        return None
    if isinstance(value, bytes):
        return None
    elements, end = leading(value, seen, start + 1)
    if not elements:
        return None
    base.cuts.append((grows, cut(elements)))
    found = _tail(places, grows, start + _length(value) - 1, seen)
    if found is None or 2 * (end + len(raw) - found[1]) < len(raw):
        return None
    opens, begin, tail = found
    view = memoryview(raw)
    return Layout(base.whole(view[:end], mac), tail.whole(view[begin:], mac), opens,
                  sample(raw, end))


def _tail(places: Iterator[tuple[str, int, Value]], grows: str, begin: int,
          seen: AllSeen) -> tuple[tuple[str, ...], int, _Parts] | None:
    """(open lists, where it begins, members) of a body's end, from `begin` on or a bit later."""
    opens: tuple[str, ...] = (grows,)
    tail = _Parts()
    for name, start, value in places:
        first = 0 if isinstance(value, bytes) or tail.reads or tail.cuts else max(
            [at + 1 for at, text in enumerate(value) if id(text) not in seen], default=0)
        if first:
            # what follows the last unknown one is as a list whose bracket is where a comma is
            start += _length(value[:first]) - 1
            begin, opens, value = start, (grows, name), value[first:]
        if not tail.add(name, start - begin, value, seen):
            return None
    return opens, begin, tail


def _places(raw: bytes, texts: Texts) -> Iterator[tuple[str, int, Value]]:
    """(name, where its value starts, value) of each member, as they came."""
    at = 1
    while at < len(raw) - 1:
        name = raw[at + 1:raw.index(b'"', at + 1)].decode()
        at += len(name) + 3
        value = texts[name]
        yield name, at, value
        at += _length(value) + 1


def _length(value: Value) -> int:
    if isinstance(value, bytes):
        return len(value)
    return sum(map(len, value)) + (len(value) or 1) + 1


def sample(raw: bytes, end: int) -> int:
    """What stands before the end of a beginning."""
    return hash(raw[max(end - SAMPLE_BYTES, 0):end])


def _open(texts: Taken, name: str) -> list[bytes | Run]:
    """A list that goes on, or begins."""
    value = texts.setdefault(name, [])
    assert isinstance(value, list)
    return value
