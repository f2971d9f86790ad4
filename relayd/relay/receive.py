"""Receives a request's body: whole for JSON, as far as it must be known for an upload."""

from __future__ import annotations

import zlib

from relayd.core.errors import RelayError
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import Exchange
from relayd.relay.inflate import WINDOWS
from relayd.wire.http import RequestHead


async def receive(exchange: Exchange, body_bytes_max: int) -> None:
    """Waits for the rest of the body; raises RelayError 413."""
    check_length(exchange, body_bytes_max)
    while not exchange.body_complete:
        exchange.connection.invite_body()
        await PAUSE
    exchange.ready = exchange.connection.plane.now()


def whole(exchange: Exchange, body_bytes_max: int) -> bytes:
    """A body that has come whole, decoded; the exchange lets go of it. Raises RelayError 413,
    415 or 400."""
    pieces = exchange.pieces
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    exchange.pieces = []
    coding = exchange.head.fields.get(b"content-encoding")
    return body if coding is None else decode(body, coding, body_bytes_max)


async def receive_upload(exchange: Exchange, body_bytes_max: int) -> None:
    """Feeds `exchange.upload` until its dispatch may begin."""
    check_length(exchange, body_bytes_max)
    upload = exchange.upload
    assert upload is not None
    check_uncoded(exchange.head)
    while True:
        feed_upload(exchange)
        if upload.ready:
            return
        exchange.connection.invite_body()
        await PAUSE


def feed_upload(exchange: Exchange) -> None:
    """Hands what has come of the body to the upload, and its end."""
    upload = exchange.upload
    assert upload is not None
    pieces, exchange.pieces = exchange.pieces, []
    for piece in pieces:
        upload.feed(piece)
    if exchange.body_complete and not upload.finished:
        upload.finish()


def check_length(exchange: Exchange, body_bytes_max: int) -> None:
    """Refuses a declared length over the limit before any of it is read."""
    if (exchange.head.content_length or 0) > body_bytes_max:
        raise RelayError("body_too_large", close=True)


def check_uncoded(head: RequestHead) -> None:
    """Refuses a coded upload: it is read as it arrives, and is not unpacked."""
    if head.fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RelayError("unsupported_encoding")


def decode(body: bytes, coding: bytes, body_bytes_max: int) -> bytes:
    """Undoes gzip or deflate, bounded: a body that decodes to more than the limit is refused."""
    coding = coding.lower()
    if coding == b"identity":
        return body
    window = WINDOWS.get(coding)
    if window is None:
        raise RelayError("unsupported_encoding")
    inflater = zlib.decompressobj(wbits=window)
    try:
        decoded = inflater.decompress(body, body_bytes_max + 1)
    except zlib.error:
        raise RelayError("invalid_json") from None
    if len(decoded) > body_bytes_max:
        raise RelayError("body_too_large")
    if not inflater.eof or inflater.unused_data:
        raise RelayError("invalid_json")
    return decoded
