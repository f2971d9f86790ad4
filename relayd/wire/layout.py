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
from relayd.wire.stretch import Cut, Known, Member, Stretch, cut, join, leading

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
        self.cost = LAYOUT_COST + base.cost() + tail.cost()
        self.used = 0
        """When it was made, or was last the beginning of a body."""
        self.proven = False
        """Whether it has been that."""
        self._stale = -1

    def goes_on(self, count: int, known: bool) -> bool:
        """Whether a body that has the first `count` of the further stretches is the same
        conversation, and not another that began alike: with what is `known`, but did not follow
        last. (A mark of a cache that moves on changes an element first, which is not known then.)
        """
        stale = self._stale
        if count < len(self.more) and not known:
            self._stale = count
        return count == len(self.more) or not known or stale == count

    def grow(self, base: Stretch, more: tuple[Stretch, ...], sample: int) -> None:
        """Takes what the last body has in common with the one before."""
        self.base = base
        self.more = more
        self.sample = sample
        self.cost = (LAYOUT_COST + base.cost() + self.tail.cost()
                     + sum([stretch.cost() for stretch in more]))
        self._stale = -1

    def match(self, view: memoryview, mac: Mac) -> Match | None:
        """How much of a body it is the beginning of, if it also is the end."""
        end, start = self.base.size, len(view) - self.tail.size
        if (end > start or mac(view[:end]) != self.base.mac
                or mac(view[start:]) != self.tail.mac):
            return None
        count = 0
        for stretch in self.more:
            after = end + stretch.size
            if after > start or mac(view[end:after]) != stretch.mac:
                break
            end = after
            count += 1
        return Match(self, view, count, end, start)


class Match:
    """One body of which a layout is the beginning and the end."""

    __slots__ = ("layout", "names", "known", "count", "_view", "_more", "_end", "_start", "_fresh")

    def __init__(self, layout: Layout, view: memoryview, more: int, end: int, start: int) -> None:
        """`more`: how many of the further stretches follow its beginning."""
        self.layout = layout
        self.names: set[str] = set()
        """What its known elements drop."""
        self.known = 0
        """How many elements the beginning and the end have."""
        self.count = 0
        """How many elements there are."""
        self._view = view
        self._more = more
        self._end = end
        self._start = start
        self._fresh: list[bytes] = []

    def texts(self, split: Split) -> Taken | None:
        """As `Split.take`, with runs of known elements; None where the middle is not whole."""
        between = self._between(split)
        if between is None:
            return None
        layout = self.layout
        texts: Taken = {}
        self._put(texts, layout.base, self._view)
        end = layout.base.size
        for stretch in layout.more[:self._more]:
            self._put(texts, stretch, self._view[end:end + stretch.size])
            end += stretch.size
        for name, elements in between.items():
            _open(texts, name).extend(elements)
            self.count += len(elements)
        self._put(texts, layout.tail, self._view[self._start:])
        self.count += self.known
        return texts

    def _put(self, texts: Taken, stretch: Stretch, view: memoryview) -> None:
        for name, part in stretch.members:
            if type(part) is slice:
                texts[name] = bytes(view[part])
                continue
            assert isinstance(part, Cut)
            self.known += len(part.tags)
            self.names |= part.names
            if part.alone:
                texts[name] = Spliced(bytes(part.text(view)), part.tag)
                continue
            elements = _open(texts, name)
            if part.tags:
                elements.append(part.run(view))

    def _between(self, split: Split) -> dict[str, list[bytes]] | None:
        """The elements between beginning and end; None where they are anything else.

        The list that grows is open before them. With it opened anew, and the last list closed,
        they are a body of these lists alone.
        """
        opens = self.layout.opens
        middle = bytes(self._view[self._end:self._start])
        if not middle and len(opens) == 1:
            return {}
        begins = middle[:1]
        if begins != b"," and (begins != b"]" or len(opens) == 1):
            return None
        further = begins == b","
        found = split.take(b'{"%b":[%b]}' % (opens[0].encode(), middle[further:]))
        if found is None or found.keys() != set(opens):
            return None
        lists = {name: texts for name, texts in found.items() if isinstance(texts, list)}
        if bool(lists[opens[0]]) != further or not lists[opens[-1]]:
            return None
        self._fresh = lists[opens[0]].copy()
        return lists

    def goes_on(self, seen: Known) -> bool:
        """Whether it is of the layout's conversation, not of another that began alike."""
        return self.layout.goes_on(self._more, bool(self._fresh) and id(self._fresh[0]) in seen)

    def branch(self, seen: Known, mac: Mac) -> Layout | None:
        """The layout of such a conversation, as soon as it has gone on for a while."""
        elements, _ = leading(self._fresh, seen, 1)
        if len(elements) <= SETTLED:
            return None
        del elements[-SETTLED:]
        at, entry = elements[-1]
        grown = Stretch(at + entry[1], None, ((self.layout.opens[0], cut(elements)),))
        base = self._joined((*self.layout.more[:self._more], grown), mac)
        return Layout(base, self.layout.tail, self.layout.opens, sample(self._view, base.size))

    def extend(self, seen: Known, mac: Mac) -> None:
        """Adds to the beginning what followed it and was known."""
        elements, stop = leading(self._fresh, seen, 1)
        if not elements:
            return
        layout = self.layout
        part = self._view[self._end:self._end + stop]
        grown = Stretch(stop, mac(part), ((layout.opens[0], cut(elements)),))
        more = (*layout.more[:self._more], grown)
        if len(more) <= MORE_MAX:
            layout.grow(layout.base, more, layout.sample)
        else:
            base = self._joined(more[:-SETTLED], mac)
            layout.grow(base, more[-SETTLED:], sample(self._view, base.size))

    def _joined(self, more: Sequence[Stretch], mac: Mac) -> Stretch:
        """One beginning of the layout's and what follows it."""
        *members, (name, first) = self.layout.base.members
        assert isinstance(first, Cut)
        cuts = [(0, first)]
        end = self.layout.base.size
        for stretch in more:
            further = stretch.members[0][1]
            assert isinstance(further, Cut)
            cuts.append((end, further))
            end += stretch.size
        return Stretch(end, mac(self._view[:end]), (*members, (name, join(cuts))))


def layout_of(raw: bytes, texts: Texts, grows: str, seen: Known, mac: Mac) -> Layout | None:
    """The layout of a body of which enough is known, else None."""
    view = memoryview(raw)
    base: list[Member] = []
    places = _places(raw, texts)
    for name, start, value in places:
        if name == grows:
            break
        part = _part(value, start, seen)
        if part is None:
            return None
        base.append((name, part))
    else:
        return None
    if isinstance(value, bytes):
        return None
    elements, end = leading(value, seen, start + 1)
    if not elements:
        return None
    base.append((grows, cut(elements)))
    found = _tail(places, grows, start + _length(value) - 1, seen)
    if found is None:
        return None
    opens, tail, begin = found
    if 2 * (end + len(raw) - begin) < len(raw):
        return None
    return Layout(Stretch(end, mac(view[:end]), tuple(base)),
                  Stretch(len(raw) - begin, mac(view[begin:]), tail), opens, sample(view, end))


def _tail(places: Iterator[tuple[str, int, Value]], grows: str, begin: int,
          seen: Known) -> tuple[tuple[str, ...], tuple[Member, ...], int] | None:
    """(open lists, members, where it begins) of a body's end, from `begin` on or a bit later."""
    opens: tuple[str, ...] = (grows,)
    found: list[tuple[str, int, Value]] = []
    for name, start, value in places:
        if not found and not isinstance(value, bytes):
            unknown = [at for at, text in enumerate(value) if id(text) not in seen]
            if unknown:
                opens = grows, name
                first = unknown[-1] + 1
                start += 1 + sum(map(len, value[:first])) + first
                begin, value = start - 1, value[first:]
                start -= 1
        found.append((name, start, value))
    members: list[Member] = []
    for name, start, value in found:
        part = _part(value, start - begin, seen)
        if part is None:
            return None
        members.append((name, part))
    return opens, tuple(members), begin


def _part(value: Value, start: int, seen: Known) -> slice | Cut | None:
    """A member that starts there: known elements, or what has to be read; None: unknown ones."""
    if isinstance(value, bytes):
        entry = seen.get(id(value))
        if entry is None:
            return slice(start, start + len(value))
        return cut([(start, entry)])._replace(alone=True, tag=entry[0])
    elements, _ = leading(value, seen, start + 1)
    return cut(elements) if len(elements) == len(value) else None


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


def sample(view: memoryview, end: int) -> int:
    """What stands before the end of a beginning."""
    return hash(bytes(view[max(end - SAMPLE_BYTES, 0):end]))


def _open(texts: Taken, name: str) -> list[bytes | Run]:
    """A list that goes on, or begins."""
    value = texts.setdefault(name, [])
    assert isinstance(value, list)
    return value
