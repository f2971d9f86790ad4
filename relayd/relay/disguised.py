"""Errors that come as answers of status 200: they may name the operator as any other one may.

Law: a reply whose first octets tell of no error passes as it comes. One that begins as an error
does waits until it is whole, for no client can do anything with half of it. So does JSON that
only the end of its connection ends, which is an error too where it ends inside itself; nothing
else is held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from relayd.core.errors import RelayError
from relayd.ops.tasks import PAUSE
from relayd.relay.arraytap import begins_array
from relayd.relay.exchange import Exchange
from relayd.relay.inflate import inflated
from relayd.relay.tap import usage_in_error
from relayd.relay.upstream import Attempt
from relayd.wire.anonymous import ERROR, begins_as_error, told_in
from relayd.wire.mended import mended
from relayd.wire.provider_error import judge
from relayd.wire.replyhead import ReplyHead
from relayd.wire.shapes import array_element

LOOKED_AT: Final = 4096
"""Octets of a reply in which an error is looked for. Shorter JSON, whose head and body mostly
come one after the other, waits until it is whole."""
WAITING_BYTES_MAX: Final = 1024 * 1024
"""What is longer and would wait passes as it comes."""
INSIDE_BYTES_MAX: Final = 64 * 1024
"""What is looked at of a compressed reply."""
_STRUCTURED: Final = (b"{", b"[", b"<")
_CUT: Final = "Input data was truncated"
"""What msgspec says of the beginning of a JSON text."""
_IN_TOKENS: Final = b"+-.0123456789eEtrufalsn"


def is_suspect(data: bytes) -> bool:
    """Whether a whole reply is looked at: most are JSON without such a word."""
    return data[:1] != b"{" or data.find(ERROR, 0, LOOKED_AT) >= 0


def check(exchange: Exchange, head: ReplyHead, data: bytes) -> None:
    """Raises RelayError where a whole reply is an error that names the operator, or is half."""
    if _is_open(exchange, head) and _is_cut(data):
        raise RelayError("upstream_truncated")
    if head.coded:
        data = inflated(head, data, INSIDE_BYTES_MAX)
    elif _is_events(head) or is_array(exchange, head, data):
        return
    if len(data) > WAITING_BYTES_MAX or not begins_as_error(data, LOOKED_AT):
        return
    told = told_in(data)
    code = None if told is None else _code(exchange, told)
    if code is not None:
        endpoint = exchange.target.endpoint
        exchange.usage = None if endpoint is None else usage_in_error(endpoint, data)
        raise RelayError(code)


def is_error(head: ReplyHead, data: bytes) -> bool:
    """Whether what has come of a reply that waits is the beginning of an error."""
    return begins_as_error(
        inflated(head, data, INSIDE_BYTES_MAX) if head.coded else data, LOOKED_AT)


async def comes_whole(exchange: Exchange, attempt: Attempt) -> bool:
    """Waits for the end of a reply that is short or begins as an error; True where it has come."""
    head = attempt.head
    assert head is not None
    if _is_events(head) and not head.coded:
        return False
    while attempt.error is None:
        if attempt.complete:
            return True
        data = attempt.peek()
        if data and (_passes(head, data, _is_open(exchange, head))
                     or is_array(exchange, head, data)):
            return False
        await PAUSE
    return False


def _is_events(head: ReplyHead) -> bool:
    """Whether it is an event stream, of which an event alone is replaced (relay/stream.py)."""
    return head.content_type.startswith(b"text/event-stream")


def is_array(exchange: Exchange, head: ReplyHead, data: bytes) -> bool:
    """Whether it is Gemini's array, of which an element alone is (relay/arraytap.py)."""
    endpoint = exchange.target.endpoint
    return (endpoint is not None and endpoint.operation == "stream_generate" and not head.coded
            and begins_array(data))


def _is_open(exchange: Exchange, head: ReplyHead) -> bool:
    """Whether a reply is JSON of which nothing but the JSON itself says where it ends."""
    return (not head.delimited and not head.coded and not exchange.stream
            and b"json" in head.content_type)


def _is_cut(data: bytes) -> bool:
    """Whether JSON ends inside itself. What is no JSON for another reason passes as it is."""
    cut = _ends_inside(data)
    return _ends_inside(mended(data)) is True if cut is None else cut


def _ends_inside(data: bytes) -> bool | None:
    """Whether it is the beginning of JSON, and not all of it; None: it is neither."""
    for text in (data, data.rstrip(_IN_TOKENS)):  # of half a number it says that it is none
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except (ValueError, RecursionError) as error:
            if str(error) == _CUT:
                return True
        else:
            return False
    return None


def _passes(head: ReplyHead, data: bytes, is_open: bool) -> bool:
    """Whether what has come goes to the client now, and the rest as it comes."""
    size = len(data)
    if head.coded:
        return size > LOOKED_AT
    if not data[:64].lstrip().startswith(_STRUCTURED):  # sound, or a sign of life
        return True
    if is_open or begins_as_error(data, LOOKED_AT):
        return size > WAITING_BYTES_MAX
    return size > LOOKED_AT or (head.length or 0) > max(size, LOOKED_AT) and size >= 512


def array_guard(exchange: Exchange) -> Callable[[bytes], bytes | None]:
    """For Gemini's arrays: what stands for an element, None where it passes."""
    def instead(element: bytes) -> bytes | None:
        told = told_in(element)
        code = None if told is None else _code(exchange, told)
        return None if code is None else array_element(RelayError(code))
    return instead


def _code(exchange: Exchange, told: bytes) -> str | None:
    """The code of the error that stands for this one; None where it may pass."""
    secrets = exchange.policy.secrets[exchange.provider or ""]
    verdict = judge(exchange.target.api, 200, told, secrets)
    return None if verdict.passes else verdict.code
