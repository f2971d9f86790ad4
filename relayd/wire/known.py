"""Elements of large bodies that an account has sent before: agents resend 40 to 80 KB every turn.

What stands for an element is a hash of its text, and where the bytes to send lie in that text:
offsets, no content. An element that is known goes on without being read, changed or written.

Law: the bytes sent are those that a full reading would write. An element is known only under the
act that accepted it and the policy it was accepted under, and to one account, so that nobody
learns from a call's speed what others have sent. The hash is Python's own of bytes, SipHash under
a key of this process (PEP 456): `hash_is_secret` says whether that holds; without it nothing may
be known. Bounded: the older half of what an account has is forgotten first.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final, TypeAlias

import msgspec

from relayd.core.errors import RelayError
from relayd.wire.fields import GONE, Act
from relayd.wire.layout import Mac
from relayd.wire.layouts import Layouts
from relayd.wire.numbers import decode_long
from relayd.wire.spliced import Spliced
from relayd.wire.split import too_deep
from relayd.wire.stretch import Bounds, Seen, pieced
from relayd.wire.walk import BodyPolicy, Walk

ACCOUNTS_MAX: Final = 256
"""Accounts that are remembered, each per API; those that sent last."""
ACCOUNT_BYTES_MAX: Final = 256 * 1024
"""About what one account's memory takes: several long conversations."""
LAYOUTS_SHARE: Final = 2
"""One part in so many of it is for their layouts (wire/layout.py), the rest for 1,000 elements."""
ENTRY_BYTES: Final = 104
CUT_BYTES: Final = 96
PIECE_BYTES: Final = 8
"""What an entry costs, one whose text is cut, and each piece of it."""
PIECES_MAX: Final = 256
"""An element whose bytes lie in more pieces is read every time."""
CUTS_MAX: Final = 1024
"""Pieces that the new elements of one body are cut into: 3 to 8 ms. Others are read, and cut when
they come again: 1 MB of small blocks that are spelled in another order took a second."""
PROBE_BYTES: Final = (24, 12, 5, 1)
"""Lengths by which the next piece is looked for, the longest first."""
NEAR_BYTES: Final = 2048
"""How far around the last piece it is looked for first."""
FAR_BYTES_MAX: Final = 16 * 1024 * 1024
"""How much of one body's new elements is gone through for what lies elsewhere: a member that comes
in another place takes ten times their length, 200 escapes in 1 MB took a quarter of a second."""
IDLE_MAX: Final = 8
"""After so many bodies in a row of which nothing was known, one in so many is taken apart."""

_encode: Final = msgspec.json.Encoder().encode

Entry: TypeAlias = "tuple[int, Bounds | None, tuple[str, ...]]"
"""(length of the text, its pieces in written order (None: all of it), names that are dropped).
No pieces at all: it has to be read each time."""


def hash_is_secret(seed_chosen: bool) -> bool:
    """Whether Python hashes bytes with SipHash under a key that nobody knows."""
    return (not seed_chosen and bool(sys.flags.hash_randomization)
            and sys.hash_info.algorithm.startswith("siphash") and sys.hash_info.width >= 64)


class Known:
    """What one account has sent to one API under one policy."""

    __slots__ = ("policy", "levels", "hits", "idle", "seen", "layouts", "_young", "_old", "_acts",
                 "_bytes", "_bytes_max", "_cuts_left", "_far_left")

    def __init__(self, policy: BodyPolicy, levels: int, bytes_max: int = ACCOUNT_BYTES_MAX,
                 mac: Mac = hash) -> None:
        """`levels`: how many levels of lists and objects an element may have."""
        self.policy = policy
        self.levels = levels
        self.hits = 0
        """Elements that were known, of the present body."""
        self.idle = 0
        """Bodies in a row of which nothing was known."""
        self.seen: dict[int, Seen] = {}
        """The known elements of the present body, by the id of their text."""
        self.layouts = Layouts(mac, bytes_max // LAYOUTS_SHARE)
        self._young: dict[int, Entry] = {}
        self._old: dict[int, Entry] = {}
        self._acts: set[Act | None] = set()
        self._bytes = 0
        self._cuts_left = CUTS_MAX
        self._far_left = FAR_BYTES_MAX
        self._bytes_max = (bytes_max - bytes_max // LAYOUTS_SHARE) // 2

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def begin(self) -> None:
        """Another body comes."""
        self.seen.clear()
        self._cuts_left = CUTS_MAX
        self._far_left = FAR_BYTES_MAX

    def take(self, text: bytes, act: Act | None, walk: Walk) -> object:
        """One element's text, as it is to be sent; GONE where it is not.

        Raises what `act` raises, RelayError `invalid_json`, or what msgspec raises for its text.
        """
        tag = hash(text)
        key = tag ^ id(act)
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None:
                return self._learn(text, tag, act, walk)
            self._keep(key, entry)
        size, pieces, names = entry
        self.hits += 1
        if size != len(text) or (pieces is not None and not pieces):
            return self._read(text, tag, act, walk)[0]
        if size > 1:  # of one byte there is but one object
            self.seen[id(text)] = (tag, size, pieces, names)
        for name in names:
            walk.drop(name)
        return Spliced(text if pieces is None else pieced(text, pieces), tag)

    def _read(
        self, text: bytes, tag: int, act: Act | None, walk: Walk
    ) -> tuple[object, tuple[str, ...]]:
        """As without any memory; also the names that were dropped."""
        value = decode_long(text)
        if len(text) > 2 * self.levels and too_deep(value, self.levels):
            raise RelayError("invalid_json")
        if act is None or type(value) is not dict:
            return Spliced(_encode(value), tag, value), ()
        before, walk.dropped = walk.dropped, set()
        value = act(value, walk)
        names = tuple(walk.dropped)
        walk.dropped |= before
        return value if value is GONE else Spliced(_encode(value), tag, value), names

    def _learn(self, text: bytes, tag: int, act: Act | None, walk: Walk) -> object:
        element, names = self._read(text, tag, act, walk)
        if type(element) is Spliced:
            pieces = None
            if element.text != text:
                if self._cuts_left <= 0 or self._far_left < 0:
                    return element
                pieces, gone = pieces_of(text, element.text)
                self._cuts_left -= len(pieces) // 2 or PIECES_MAX
                self._far_left -= gone
            self._acts.add(act)  # its id stays its own
            self._keep(tag ^ id(act), (len(text), pieces, names))
        return element

    def _keep(self, key: int, entry: Entry) -> None:
        pieces = entry[1]
        cost = ENTRY_BYTES if pieces is None else (
            ENTRY_BYTES + CUT_BYTES + PIECE_BYTES // 2 * len(pieces))
        self._bytes += cost
        if self._bytes > self._bytes_max:
            self._old, self._young = self._young, {}
            self._bytes = cost
        self._young[key] = entry


class Elements:
    """What all accounts have sent."""

    __slots__ = ("_known", "_levels", "_mac", "_accounts_max", "_bytes_max")

    def __init__(self, levels: int, mac: Mac = hash, accounts_max: int = ACCOUNTS_MAX,
                 bytes_max: int = ACCOUNT_BYTES_MAX) -> None:
        """`mac`: the keyed hash of long texts; `hash` where there is none that takes less."""
        self._known: dict[tuple[str, str], Known] = {}
        self._levels = levels
        self._mac = mac
        self._accounts_max = accounts_max
        self._bytes_max = bytes_max

    def of(self, account: str, api: str, policy: BodyPolicy) -> Known | None:
        """What an account has sent to an API; nothing that another policy let through.

        Asked for once a body. None where it would only cost: the account sends nothing twice.
        """
        known = self._known.pop((account, api), None)
        if known is None or (known.policy is not policy and known.policy != policy):
            known = Known(policy, self._levels, self._bytes_max, self._mac)
            while len(self._known) >= self._accounts_max:
                del self._known[next(iter(self._known))]
        self._known[account, api] = known
        known.idle = 0 if known.hits else known.idle + 1
        known.hits = 0
        return known if known.idle <= IDLE_MAX or known.idle % IDLE_MAX == 0 else None


def pieces_of(text: bytes, written: bytes) -> tuple[Bounds, int]:
    """(pieces of `text` that make up `written`, none where it would take too many; how many bytes
    were gone through for those that lie far from each other)."""
    pieces: list[int] = []
    done = near = far = 0
    while done < len(written):
        at, gone = _find(text, written[done:done + PROBE_BYTES[0]], near)
        far += gone
        if at < 0 or far > FAR_BYTES_MAX or len(pieces) == 2 * PIECES_MAX:
            return array("I"), far
        length = _common(text, at, written, done)
        near = at + length
        pieces += (at, near)
        done += length
    return array("I", pieces), far


def _find(text: bytes, probe: bytes, near: int) -> tuple[int, int]:
    """(where a piece begins that starts as `probe` does, the better the longer; -1: nowhere, how
    many bytes were gone through for it beyond those that are near)."""
    first, last = max(near - NEAR_BYTES, 0), near + NEAR_BYTES
    gone = 0
    for size in PROBE_BYTES:
        start = probe[:size]
        at = text.find(start, first, last)
        if at < 0 and (first or last < len(text)):
            at = text.find(start)
            gone += len(text) if at < 0 else at
        if at >= 0:
            return at, gone
    return -1, gone


def _common(text: bytes, at: int, written: bytes, done: int) -> int:
    """How many bytes `text` from `at` and `written` from `done` have in common."""
    most = min(len(text) - at, len(written) - done)
    if most <= NEAR_BYTES and text[at:at + most] == written[done:done + most]:
        return most
    same, step = 0, 32
    while same < most and text[at + same:at + same + step] == (
            written[done + same:done + same + step]):
        same += step
        step *= 2
    while step > 32:
        step //= 2
        if text[at + same:at + same + step] == written[done + same:done + same + step]:
            same += step
    one = text[at + same:at + same + 32].ljust(32)
    two = written[done + same:done + same + 32].ljust(32)
    apart = int.from_bytes(one, "big") ^ int.from_bytes(two, "big")
    return min(same + 32 - (apart.bit_length() + 7) // 8, most)
