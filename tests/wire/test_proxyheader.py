"""PROXY headers: a table of what is one and whom it names, and any cutting of any of them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.proxyheader import (
    HEADER_BYTES_MAX, LINE_BYTES_MAX, SIGNATURE, UNKNOWN, Client, NoHeader, client, missing,
)

V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + b"\xdc\x04\x01\xbb"
V6 = (ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("fd00::1").packed
      + b"\xdc\x04\x01\xbb")
TLV = b"\xea\x00\x05\x01vpce"


def two(command: int, family: int, body: bytes = b"") -> bytes:
    return SIGNATURE + bytes([command, family]) + len(body).to_bytes(2, "big") + body


GOOD: list[tuple[bytes, Client]] = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", ("192.0.2.7", 56324)),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", ("1.1.1.1", 0)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:DB8::7 fd00::1 56324 443\r\n", ("2001:db8::7", 56324)),
    (b"PROXY TCP6 :: :: 1 1\r\n", ("::", 1)),
    (b"PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".replace(
        b"f...f", b"ffff:ffff:ffff:ffff:ffff:ffff"), ("ffff" + ":ffff" * 7, 65535)),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", ("::ffff:c000:207", 1)),
    (b"PROXY UNKNOWN\r\n", UNKNOWN),
    (b"PROXY UNKNOWN ffff::1 anything at all 1 2\r\n", UNKNOWN),
    (two(0x21, 0x11, V4), ("192.0.2.7", 56324)),
    (two(0x21, 0x11, V4 + TLV), ("192.0.2.7", 56324)),
    (two(0x21, 0x21, V6), ("2001:db8::7", 56324)),
    (two(0x21, 0x21, V6 + TLV * 9), ("2001:db8::7", 56324)),
    (two(0x21, 0x31, bytes(216)), UNKNOWN),
    (two(0x21, 0x00), UNKNOWN),
    (two(0x21, 0x00, TLV), UNKNOWN),
    (two(0x20, 0x00), UNKNOWN),
    (two(0x20, 0x11, V4), UNKNOWN),
    (two(0x20, 0xff, b"x"), UNKNOWN),
]
BAD = [
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", b"proxy TCP4 ",
    b"PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
    b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 1\r\n",
    b"PROXY TCP4  192.0.2.7 10.0.0.1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 \r\n",
    b"PROXY TCP4 192.0.2.7 10.0.0.1 056324 443\r\n",
    b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.7 10.0.0.1 1 99999\r\n",
    b"PROXY TCP4 192.0.2.256 10.0.0.1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.07 10.0.0.1 56324 443\r\n",
    b"PROXY TCP4 2001:db8::7 fd00::1 56324 443\r\n",
    b"PROXY TCP6 192.0.2.7 10.0.0.1 56324 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 fd00::1 56324 443\r\n",
    b"PROXY TCP5 192.0.2.7 10.0.0.1 56324 443\r\n",
    b"PROXY UNKNOWNX and so on\r\n", b"PROXY UDP4 192.0.2.7 10.0.0.1 56324 443\r\n",
    b"PROXY UNKNOWN " + b"x" * LINE_BYTES_MAX, b"PROXY UNKNOWN a\nb\r\n",
    two(0x11, 0x11, V4), two(0x22, 0x11, V4), two(0x21, 0x12, V4), two(0x21, 0x22, V6),
    two(0x21, 0x10, V4), two(0x21, 0x11, V4[:-1]), two(0x21, 0x21, V4), two(0x21, 0x31, V6),
    two(0x21, 0x00, bytes(HEADER_BYTES_MAX)), SIGNATURE[:-1] + b"\r" + bytes(4),
]


def read(stream: bytes, cuts: int = HEADER_BYTES_MAX) -> tuple[Client, bytes]:
    """As a connection reads it, `cuts` octets at most at a time: whom it names, what is left."""
    header = b""
    while count := missing(header):
        piece = stream[len(header):len(header) + min(count, cuts)]
        if not piece:
            raise EOFError
        header += piece
    return client(header), stream[len(header):]


@pytest.mark.parametrize(("header", "named"), GOOD)
def test_whom_a_header_names(header: bytes, named: Client) -> None:
    for cuts in (1, 7, HEADER_BYTES_MAX):
        assert read(header + b"PROXY \r\n\r\n", cuts) == (named, b"PROXY \r\n\r\n")


@pytest.mark.parametrize("header", BAD)
def test_what_is_none(header: bytes) -> None:
    for cuts in (1, HEADER_BYTES_MAX):
        with pytest.raises(NoHeader) as told:
            read(header, cuts)
        assert str(told.value) == "no PROXY header"


@pytest.mark.parametrize(("header", "named"), GOOD)
def test_a_header_that_ends_early_is_none_yet(header: bytes, named: Client) -> None:
    for count in range(len(header)):
        with pytest.raises(EOFError):
            read(header[:count])


ADDRESSES = st.one_of(
    st.tuples(st.just(4), st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.just(6), st.ip_addresses(v=6), st.ip_addresses(v=6)))
PORTS = st.integers(0, 65535)


@given(ADDRESSES, PORTS, PORTS, st.binary(max_size=300), st.binary(max_size=40),
       st.integers(1, 50))
def test_what_is_written_is_read(
    pair: tuple[int, ipaddress.IPv4Address | ipaddress.IPv6Address,
                ipaddress.IPv4Address | ipaddress.IPv6Address],
    port: int, other: int, more: bytes, rest: bytes, cuts: int
) -> None:
    version, source, destination = pair
    line = f"PROXY TCP{version} {source} {destination} {port} {other}\r\n".encode()
    body = (source.packed + destination.packed + port.to_bytes(2, "big")
            + other.to_bytes(2, "big") + more)
    for header in (line, two(0x21, 0x11 if version == 4 else 0x21, body)):
        assert read(header + rest, cuts) == ((str(source), port), rest)


@given(st.one_of(
    st.binary(max_size=200), st.binary(max_size=200).map(SIGNATURE.__add__),
    st.binary(max_size=120).map(b"PROXY TCP4 ".__add__),
    st.tuples(st.sampled_from([header for header, _ in GOOD]), st.integers(0, 60),
              st.integers(0, 255)).map(
        lambda it: it[0][:it[1]] + bytes([it[2]]) + it[0][it[1] + 1:])))
def test_whatever_comes_is_read_or_refused(stream: bytes) -> None:
    try:
        (address, port), rest = read(stream)
    except (NoHeader, EOFError):
        return
    assert stream.endswith(rest) and 0 <= port < 65536
    assert not address or ipaddress.ip_address(address)
