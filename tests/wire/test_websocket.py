"""Frames: tables of what is refused; two independent implementations as oracles of what is not."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from relayd.wire.websocket import (
    BINARY, CLOSE, CONTINUATION, FRAGMENTS_MAX, LOOSE_MAX, MASK_BYTES, MESSAGES_MAX, NO_CODE,
    NOT_UTF8, PING, POLICY, PONG, PROTOCOL_ERROR, TEXT, TOO_BIG, Message, MessageReader,
    close_code, close_payload, frame, masked,
)

KEY = b"\x01\x02\x03\x04"
MAX = 1 << 20
SIZES = st.sampled_from([0, 1, 3, 4, 5, 124, 125, 126, 127, 65535, 65536, 70_001])
Spoken = tuple[int, bytes]


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces, cut at these places."""
    at = sorted({place % (len(raw) + 1) for place in places})
    bounds = [0, *at, len(raw)]
    return [raw[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


def read(raw: bytes, places: list[int] = [], *, is_masked: bool = True,
         limit: int = MAX) -> tuple[list[Message], MessageReader]:
    reader = MessageReader(is_masked, limit)
    found: list[Message] = []
    for piece in cut(raw, places):
        found += reader.feed(piece)
    return found, reader


def plain(messages: list[Message]) -> list[Spoken]:
    return [(message.opcode, message.payload) for message in messages]


@st.composite
def conversations(draw: st.DrawFn) -> list[Spoken]:
    """Messages and control frames; text is UTF-8, because the oracles look."""
    spoken: list[Spoken] = []
    for _ in range(draw(st.integers(1, 6))):
        opcode = draw(st.sampled_from([TEXT, BINARY, PING, PONG]))
        if opcode == TEXT:
            spoken.append((TEXT, draw(st.text(max_size=200)).encode()))
        elif opcode == BINARY:
            spoken.append((BINARY, os.urandom(draw(SIZES))))
        else:
            spoken.append((opcode, draw(st.binary(max_size=125))))
    return spoken


def by_wsproto(spoken: list[Spoken], kind: ConnectionType) -> bytes:
    peer = Connection(kind)
    events: dict[int, Callable[[bytes], object]] = {
        TEXT: lambda p: TextMessage(data=p.decode()), BINARY: lambda p: BytesMessage(data=p),
        PING: lambda p: Ping(payload=p), PONG: lambda p: Pong(payload=p),
    }
    return b"".join(
        peer.send(events[opcode](payload)) for opcode, payload in spoken)  # type: ignore[arg-type]


def by_websockets(spoken: list[Spoken], fragments: int, client: bool) -> bytes:
    """Each message in that many frames, with a ping between any two of them."""
    peer = Protocol(CLIENT if client else SERVER)
    for opcode, payload in spoken:
        if opcode == PING:
            peer.send_ping(payload)
        elif opcode == PONG:
            peer.send_pong(payload)
        else:
            step = len(payload) // fragments + 1
            parts = [payload[n:n + step] for n in range(0, len(payload), step)] or [b""]
            for number, part in enumerate(parts):
                last = number == len(parts) - 1
                if number:
                    peer.send_ping(b"between")
                    peer.send_continuation(part, last)
                elif opcode == TEXT:
                    peer.send_text(part, last)
                else:
                    peer.send_binary(part, last)
    return b"".join(peer.data_to_send())


@given(conversations(), st.lists(st.integers(0, 1 << 17), max_size=8), st.booleans())
def test_wsproto_is_understood(spoken: list[Spoken], places: list[int], client: bool) -> None:
    raw = by_wsproto(spoken, ConnectionType.CLIENT if client else ConnectionType.SERVER)
    found, reader = read(raw, places, is_masked=client)
    assert plain(found) == spoken and not reader.fault


@given(conversations(), st.lists(st.integers(0, 1 << 17), max_size=8), st.booleans(),
       st.integers(1, 5))
def test_fragments_of_websockets_are_understood(
    spoken: list[Spoken], places: list[int], client: bool, fragments: int
) -> None:
    raw = by_websockets(spoken, fragments, client)
    found, reader = read(raw, places, is_masked=client)
    assert [m for m in plain(found) if m != (PING, b"between")] == spoken and not reader.fault


@given(conversations(), st.integers(1, 5), st.lists(st.integers(0, 1 << 17), max_size=8))
def test_what_a_provider_sent_is_given_back_frame_by_frame(
    spoken: list[Spoken], fragments: int, places: list[int]
) -> None:
    data = [s for s in spoken if s[0] in (TEXT, BINARY)]
    raw = by_websockets(data, fragments, client=False)
    found, _ = read(raw, places, is_masked=False)
    between = bytes(Frame(Opcode.PING, b"between").serialize(mask=False))
    kept = b"".join(m.raw for m in found)
    assert len(kept) + len(between) * sum(m.opcode == PING for m in found) == len(raw)
    again, _ = read(kept, is_masked=False)
    assert plain(again) == data


@given(conversations(), st.booleans())
def test_both_understand_what_is_written(spoken: list[Spoken], client: bool) -> None:
    raw = b"".join(frame(o, p, os.urandom(4) if client else b"") for o, p in spoken)
    peer = Connection(ConnectionType.SERVER if client else ConnectionType.CLIENT)
    peer.receive_data(raw)
    heard: list[Spoken] = []
    whole = b""
    for event in peer.events():
        if isinstance(event, (TextMessage, BytesMessage)):
            text = isinstance(event, TextMessage)
            whole += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            if event.message_finished:
                heard.append((TEXT if text else BINARY, whole))
                whole = b""
        elif isinstance(event, (Ping, Pong)):
            heard.append((PING if isinstance(event, Ping) else PONG, bytes(event.payload)))
    assert heard == spoken
    other = Protocol(SERVER if client else CLIENT)
    other.receive_data(raw)
    assert [(int(e.opcode), bytes(e.data)) for e in other.events_received()] == spoken


@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4),
       st.sampled_from([0, MASK_BYTES - 1, MASK_BYTES, MASK_BYTES + 1, 3 * MASK_BYTES]))
def test_masking_is_octet_by_octet(data: bytes, key: bytes, more: int) -> None:
    data += b"x" * more
    mixed = masked(data, key)
    assert mixed == bytes(octet ^ key[n % 4] for n, octet in enumerate(data))
    assert masked(mixed, key) == data


def masked_head(first: int, second: int, rest: bytes = b"") -> bytes:
    return bytes([first, second | 0x80]) + rest


@pytest.mark.parametrize(("raw", "code"), [
    (frame(TEXT, b"x"), PROTOCOL_ERROR),                       # not masked
    (masked_head(0xc1, 1), PROTOCOL_ERROR),                    # RSV1: permessage-deflate
    (masked_head(0xa1, 1), PROTOCOL_ERROR),                    # RSV2
    (masked_head(0x91, 1), PROTOCOL_ERROR),                    # RSV3
    (masked_head(0x83, 1), PROTOCOL_ERROR),                    # reserved data opcode
    (masked_head(0x8b, 1), PROTOCOL_ERROR),                    # reserved control opcode
    (masked_head(0x80, 1), PROTOCOL_ERROR),                    # continuation of nothing
    (masked_head(0x09, 1), PROTOCOL_ERROR),                    # fragmented ping
    (masked_head(0x89, 126), PROTOCOL_ERROR),                  # ping over 125 bytes
    (masked_head(0x81, 126, b"\0\x7d" + KEY), PROTOCOL_ERROR),   # 125 in the 16-bit form
    (masked_head(0x81, 127, (65535).to_bytes(8, "big") + KEY), PROTOCOL_ERROR),
    (masked_head(0x81, 127, b"\xff" * 8 + KEY), PROTOCOL_ERROR),   # the highest bit
    (masked_head(0x81, 127, (MAX + 1).to_bytes(8, "big") + KEY), TOO_BIG),
    (masked_head(0x01, 1, KEY + b"x") + masked_head(0x81, 1), PROTOCOL_ERROR),  # a second start
    (frame(CLOSE, b"\x03", KEY), PROTOCOL_ERROR),              # half a code
    (frame(CLOSE, close_payload(1004), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, (1005).to_bytes(2, "big"), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, close_payload(1006), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, close_payload(1015), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, close_payload(2999), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, close_payload(5000), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, close_payload(999), KEY), PROTOCOL_ERROR),
    (frame(CLOSE, close_payload(1000, b"\xff"), KEY), NOT_UTF8),
])
def test_faults(raw: bytes, code: int) -> None:
    before = frame(TEXT, b"before", KEY)
    for places in ([], list(range(len(before) + len(raw)))):
        found, reader = read(before + raw + frame(TEXT, b"behind", KEY), places)
        assert plain(found) == [(TEXT, b"before")]
        assert reader.fault == code
        assert reader.feed(frame(TEXT, b"later", KEY)) == []


def test_a_provider_does_not_mask() -> None:
    _, reader = read(frame(TEXT, b"x", KEY), is_masked=False)
    assert reader.fault == PROTOCOL_ERROR


def test_fragments_together_are_bounded() -> None:
    part = bytes([TEXT, 0x80 | 100]) + KEY + masked(b"x" * 100, KEY)
    more = bytes([CONTINUATION, 0x80 | 100]) + KEY + masked(b"x" * 100, KEY)
    _, reader = read(part + more, limit=200)
    assert not reader.fault
    reader.feed(more)
    assert reader.fault == TOO_BIG
    empty = bytes([CONTINUATION, 0x80]) + KEY
    _, reader = read(bytes([TEXT, 0x80]) + KEY + empty * (FRAGMENTS_MAX - 1))
    assert not reader.fault
    reader.feed(empty)
    assert reader.fault == POLICY


def test_the_bound_is_for_each_message() -> None:
    found, reader = read(frame(BINARY, b"x" * 60, KEY) * 5, limit=60)
    assert len(found) == 5 and not reader.fault


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 1014, 3000, 4999, NO_CODE])
def test_close_codes_pass_and_end_the_reading(code: int) -> None:
    raw = frame(CLOSE, close_payload(code, b"" if code == NO_CODE else b"why"), KEY)
    found, reader = read(raw + frame(TEXT, b"behind", KEY))
    assert [(m.opcode, close_code(m.payload)) for m in found] == [(CLOSE, code)]
    assert reader.closed and not reader.fault
    if code != 1014:  # wsproto does not know it, which is why the relay itself never says it
        peer = Connection(ConnectionType.SERVER)
        peer.receive_data(raw)
        [event] = list(peer.events())
        assert isinstance(event, CloseConnection) and int(event.code) == code


def test_a_message_that_trickles_in_takes_no_more_than_its_size() -> None:
    whole = frame(BINARY, bytes(range(256)) * 40)
    for key in (b"", b"abcd"):
        reader = MessageReader(bool(key), 1 << 20)
        sent = frame(BINARY, bytes(range(256)) * 40, key)
        for at in range(len(sent) - 1):
            assert reader.feed(sent[at:at + 1]) == []
        assert reader.kept == 256 * 40 - 1
        assert len(reader._pieces) < 256 * 40 / LOOSE_MAX + LOOSE_MAX
        [message] = reader.feed(sent[-1:])
        assert message.payload == bytes(range(256)) * 40 and reader.kept == 0
        assert message.raw == (b"" if key else whole)


def test_what_is_only_announced_is_not_kept() -> None:
    reader = MessageReader(False, 100)
    reader.feed(bytes([0x01, 50]) + b"x" * 20)
    assert reader.kept == 20
    reader.feed(b"x" * 30 + bytes([0x89, 5]) + b"hi")
    assert reader.kept == 50
    reader.feed(b"you" + bytes([0x80, 90]))
    assert (reader.fault, reader.kept) == (TOO_BIG, 0)


def test_a_client_that_sends_thousands_of_messages_at_once_is_not_read_on() -> None:
    each = frame(TEXT, b"{}", KEY)
    reader = MessageReader(True, 100)
    for _ in range(3):
        assert len(reader.feed(each * MESSAGES_MAX)) == MESSAGES_MAX and reader.fault == 0
    assert len(reader.feed(each * MESSAGES_MAX * 3)) == MESSAGES_MAX + 1
    assert reader.fault == POLICY and reader.feed(each) == []


@pytest.mark.parametrize("cut", range(7))
def test_a_clients_text_is_utf_8_over_the_borders_of_its_fragments(cut: int) -> None:
    def sent(octets: bytes) -> MessageReader:
        reader = MessageReader(True, 100)
        first = bytearray(frame(TEXT, octets[:cut], KEY))
        first[0] &= 0x7f
        reader.feed(bytes(first) + frame(PING, b"", KEY) + frame(CONTINUATION, octets[cut:], KEY))
        return reader

    assert sent("a\U0001f600b".encode()).fault == 0
    for broken in (b"a\xf0\x9f\x98b", b"a\xed\xa0\x80b", b"\xc0\x80", b"ab\xf4\x90\x80\x80"):
        assert sent(broken).fault == NOT_UTF8
    binary = MessageReader(True, 100)
    assert binary.feed(frame(BINARY, b"\xff", KEY)) and binary.fault == 0
