"""What is found in a reply, and the tap that finds nothing, of which all others are kinds."""

from __future__ import annotations

import msgspec

from relayd.core.usage import Usage


class Report(msgspec.Struct, frozen=True, gc=False):
    """What a tap has found in a whole reply.

    `usage` is what the provider reported, None where it did not. `ended` says that the dialect's
    last event was seen (or may have been one too long to be read), or that a body which is no
    stream came whole. `error` is a code of core.errors where the provider reported a failure in a
    reply of status 200. `covers`: no text has passed since that usage was reported, as far as a
    counter looked for text.
    """

    usage: Usage | None
    ended: bool
    error: str | None
    covers: bool


class Tap:
    """A reply that is not read: sound, images, what is encoded, answers that bill nothing."""

    __slots__ = ()

    passes_all: bool = True
    """True where `feed` always gives back what it is fed: write first, then feed."""
    at_boundary: bool = False
    """True where the client is between two events of a stream, so that one may be put in."""

    def feed(self, data: bytes) -> bytes:
        """Reads the next bytes of the reply, cut anywhere; gives what the client gets of them."""
        return data

    def flush(self) -> bytes:
        """What was held back when the reply ended inside an event. Nothing is fed afterwards."""
        return b""

    def finish(self, clean: bool) -> Report:
        """The report. `clean`: the reply ended as its framing says, and did not break off."""
        return Report(None, clean, None, True)

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here."""
        return None
