"""WebSocket frames (RFC 6455 section 5): read incrementally and strictly, written whole.

Law: bounded, whatever a peer sends: a message by its bytes and by its fragments, a control frame
by 125 bytes. No extension is ever agreed to, so a reserved bit is a fault. A fault never raises:
what came before it is still given out, and `fault` then holds the close code that says why.
"""

from __future__ import annotations

from typing import Final, NamedTuple

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED: Final = 1003
NO_CODE: Final = 1005
NOT_UTF8: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009
INTERNAL: Final = 1011
RESTART: Final = 1012
TRY_LATER: Final = 1013

CONTROL_BYTES_MAX: Final = 125
FRAGMENTS_MAX: Final = 4096
"""Frames of one message; no client was seen to send more than one."""
MESSAGES_MAX: Final = 4096
"""Messages and control frames of a client in one read, which holds 256 KiB at most; each costs 10
us at worst, and the shortest event of sound has 200 octets."""
LOOSE_MAX: Final = 256
"""Pieces of a message that are kept one by one; octets that come alone would take 40 times their
size."""
MASK_BYTES: Final = 4096
"""A multiple of four: the cheapest length of one XOR (1.5 ns an octet, 3 for one of a MiB)."""
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
"""Close codes that may be on the wire (RFC 6455 section 7.4, IANA's registry)."""
_DATA: Final = frozenset({CONTINUATION, TEXT, BINARY})
_CONTROL: Final = frozenset({CLOSE, PING, PONG})


class Message(NamedTuple):
    """A whole message, or one control frame.

    `raw` is the frames of a data message as they came, control frames between them left out; it is
    kept of unmasked ones alone. A client's text is UTF-8; a provider's passes unchecked.
    """

    opcode: int
    payload: bytes
    raw: bytes


class MessageReader:
    """Reads one direction of a connection. `masked`: the peer is a client."""

    __slots__ = ("fault", "closed", "_masked", "_max", "_held", "_open", "_left", "_mask",
                 "_opcode", "_final", "_kind", "_size", "_fragments", "_pieces", "_control",
                 "_raw", "_loose", "_packed")

    def __init__(self, masked: bool, message_bytes_max: int) -> None:
        self.fault = 0
        """The close code that the peer has earned; nothing is read any more."""
        self.closed = False
        """The peer's close frame has come; nothing is read behind it."""
        self._masked = masked
        self._max = message_bytes_max
        self._held = b""
        self._open = False
        self._left = 0
        self._mask = b""
        self._opcode = 0
        self._final = False
        self._kind = CONTINUATION
        self._size = 0
        self._fragments = 0
        self._pieces: list[bytes] = []
        self._control: list[bytes] = []
        self._raw: list[bytes] = []
        self._loose = self._packed = 0

    @property
    def kept(self) -> int:
        """Octets of a message that is not whole yet."""
        if self.fault or self.closed:
            return 0
        return self._size - (self._left if self._open and self._opcode in _DATA else 0)

    def feed(self, data: bytes) -> list[Message]:
        """The messages and control frames that end in these bytes, in order."""
        found: list[Message] = []
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        while not self.fault and not self.closed:
            if not self._open:
                at = self._head(data, at)
                if not self._open:
                    break
            piece = data[at:at + self._left]
            at += len(piece)
            self._left -= len(piece)
            self._take(piece)
            if self._left:
                break
            self._open = False
            self._end(found)
            if self._masked and len(found) > MESSAGES_MAX:
                self.fault = POLICY
        return found

    def forget(self) -> None:
        """Keeps nothing of a message that is not whole, and reads no more."""
        self.closed = True
        self._held = b""
        for pieces in (self._pieces, self._control, self._raw):
            pieces.clear()

    def _head(self, data: bytes, at: int) -> int:
        """Reads a frame's head; `_open` says whether it was whole. Returns where it ends."""
        whole = len(data) - at
        if whole < 2:
            self._held = data[at:]
            return at
        first, second = data[at], data[at + 1]
        short = second & 0x7f
        self.fault = self._judge(first, second)
        if self.fault:
            return at
        extended = 2 if short == 126 else 8 if short == 127 else 0
        size = 2 + extended + (4 if self._masked else 0)
        if whole < size:
            self._held = data[at:]
            return at
        length = int.from_bytes(data[at + 2:at + 2 + extended], "big") if extended else short
        # section 5.2: the shortest form, and the most significant bit is 0
        if (extended == 2 and length < 126) or (extended == 8 and not 65535 < length < 1 << 63):
            self.fault = PROTOCOL_ERROR
            return at
        self._begin(first, length, data[at:at + size])
        return at + size

    def _judge(self, first: int, second: int) -> int:
        """The close code for what the first two octets of a frame say, 0 where they are sound."""
        opcode = first & 0x0f
        if first & 0x70 or bool(second & 0x80) != self._masked:
            return PROTOCOL_ERROR
        if opcode in _CONTROL:
            sound = first & 0x80 and second & 0x7f <= CONTROL_BYTES_MAX
        else:
            begun = self._kind != CONTINUATION
            sound = opcode in _DATA and (opcode == CONTINUATION) == begun
        return 0 if sound else PROTOCOL_ERROR

    def _begin(self, first: int, length: int, head: bytes) -> None:
        self._opcode = opcode = first & 0x0f
        self._final = bool(first & 0x80)
        self._left = length
        self._mask = head[-4:] if self._masked else b""
        if opcode in _DATA:
            self._size += length
            self._fragments += 1
            if self._size > self._max:
                self.fault = TOO_BIG
                return
            if self._fragments > FRAGMENTS_MAX:
                self.fault = POLICY
                return
            if opcode != CONTINUATION:
                self._kind = opcode
            if not self._masked:
                self._raw.append(head)
        self._open = True

    def _take(self, piece: bytes) -> None:
        if self._masked:
            mask = self._mask
            payload = masked(piece, mask)
            turn = len(piece) & 3
            self._mask = mask[turn:] + mask[:turn]
        else:
            payload = piece
        if self._opcode in _DATA:
            self._pieces.append(payload)
            if not self._masked:
                self._raw.append(piece)
            self._loose += 1
            if self._loose == LOOSE_MAX:
                self._pack()
        else:
            self._control.append(payload)

    def _pack(self) -> None:
        """Makes one of the pieces that have come since it was done last."""
        for pieces in (self._pieces, self._raw):
            pieces[self._packed:] = [b"".join(pieces[self._packed:])]
        self._packed += 1
        self._loose = 0

    def _end(self, found: list[Message]) -> None:
        if self._opcode in _CONTROL:
            payload = b"".join(self._control)
            self._control.clear()
            if self._opcode == CLOSE:
                self.fault = _close_fault(payload)
                self.closed = True
                if self.fault:
                    return
            found.append(Message(self._opcode, payload, b""))
        elif self._final:
            payload = _joined(self._pieces)
            if self._masked and self._kind == TEXT and not _is_text(payload):
                self.fault = NOT_UTF8
                return
            found.append(Message(self._kind, payload, b"".join(self._raw)))
            self._pieces.clear()
            self._raw.clear()
            self._kind = CONTINUATION
            self._size = self._fragments = self._loose = self._packed = 0


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _close_fault(payload: bytes) -> int:
    if not payload:
        return 0
    if len(payload) == 1 or int.from_bytes(payload[:2], "big") not in _CODES:
        return PROTOCOL_ERROR
    return 0 if _is_text(payload[2:]) else NOT_UTF8


def _is_text(data: bytes) -> bool:
    """Whether this is UTF-8 (section 8.1)."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def masked(data: bytes, key: bytes) -> bytes:
    """Masks or unmasks (section 5.3): long XORs, cut so that each stays in the CPU's cache."""
    size = len(data)
    if size <= MASK_BYTES:
        return _mixed(data, int.from_bytes((key * (size // 4 + 1))[:size], "little"))
    stream = int.from_bytes(key * (MASK_BYTES // 4), "little")
    whole = size - size % MASK_BYTES
    pieces = [_mixed(data[at:at + MASK_BYTES], stream) for at in range(0, whole, MASK_BYTES)]
    return b"".join([*pieces, masked(data[whole:], key)])


def _mixed(data: bytes, stream: int) -> bytes:
    return (int.from_bytes(data, "little") ^ stream).to_bytes(len(data), "little")


def frame(opcode: int, payload: bytes, key: bytes = b"") -> bytes:
    """One whole, final frame; with a `key` of four octets it is a client's."""
    size = len(payload)
    bit = 0x80 if key else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    return head + key + masked(payload, key) if key else head + payload


def close_payload(code: int, reason: bytes = b"") -> bytes:
    """The payload of a close frame; empty for NO_CODE. `reason` is UTF-8, 123 bytes at most."""
    return b"" if code == NO_CODE else code.to_bytes(2, "big") + reason


def close_code(payload: bytes) -> int:
    """The code of a close frame that a reader gave out; NO_CODE where it has none."""
    return int.from_bytes(payload[:2], "big") if payload else NO_CODE
