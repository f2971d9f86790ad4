"""An exchange on the relay path: one request and its reply, with all that its story needs.

Law: content (body pieces, the parsed body) lives here alone and is dropped as soon as its next
form exists; nothing here is shown by a repr.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import RECEIVED, Phase
from relayd.core.gate import Permit
from relayd.core.record import MODEL_UNKNOWN
from relayd.core.reservation import Hold
from relayd.core.snapshot import KeyGrant, Snapshot
from relayd.core.usage import ENDINGS, Ending, Outcome, Usage
from relayd.ops.tasks import Story
from relayd.wire.body import Ask
from relayd.wire.dialect import Target
from relayd.wire.headers import ClientFields
from relayd.wire.http import RequestHead
from relayd.wire.multipart import Upload

if TYPE_CHECKING:
    from relayd.relay.admit import Ticket
    from relayd.relay.count import TextCounter
    from relayd.relay.counting import PromptCount
    from relayd.relay.heads import Heads
    from relayd.relay.listener import ClientConnection
    from relayd.relay.plan import Place, Plan
    from relayd.relay.policy import Policy
    from relayd.relay.stream import Stream
    from relayd.relay.upstream import Attempt


PIECE_BYTES: Final = 4096
"""A shorter piece of a body is kept with the next one."""
_ABANDONED: Final[Mapping[Ending, Ending]] = {
    "completed": "left_drained", "provider_error": "left_unserved",
    "left_unserved": "left_unserved",
}
"""How a call ends whose client had left before, by how its reply ended; else it was cut off."""


class ClientLeft(Exception):
    """The client is gone; raised where the story waits."""


class Memo:
    """What a head means, worked out once for all requests of a connection that repeat it.

    `grant` holds under `snapshot` alone, `client` under `heads`; `noted_until`: the network record
    that it would make is there already (relay/network.py).
    """

    __slots__ = ("target", "snapshot", "grant", "heads", "client", "noted_until")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.snapshot: Snapshot | None = None
        self.grant: KeyGrant | None = None
        self.heads: Heads | None = None
        self.client: ClientFields | None = None
        self.noted_until = 0.0


class Exchange:
    """State of one request. Times are monotonic seconds unless they say otherwise.

    Its way: `story` tells it; a usual call has its `plan` while it waits without one
    (relay/handler.py). `place` is where it was sent last, `attempt` what became of that, `copying`
    its reply under way. `replied`: its final head has been made.

    What it holds, None where none applies: `ticket` of its limits, `hold` of its account's
    balance, `permit` of its deployment's gate. `held_bytes` is what of the body counts as held in
    memory (relay/overload.py).

    Its times: at `deadline` the sweep ends what it waits for, with `expire_code`; `last_deadline`
    is the end of the provider's total time; 0: never. While a reply comes, `deadline` is
    `idle_seconds` after the last read of it (`last_heard`, `seen_chunks`). `ready`: since when the
    relay alone has kept it waiting.

    Its record: `opened`: the journal has its opening; `marked`: when it may be told how far the
    call has come, and what it was told last. `usage_covers`: no text has passed since that usage
    was reported. `left_with`: status and first byte that a client had when it left, where its
    reply is read on without it (relay/abandoned.py). `extent`: the marks of wire/extent.py of a
    body that has been let go.
    """

    __slots__ = (
        "connection", "head", "policy", "target", "id", "started_at_ms", "started", "ready",
        "story", "plan", "phase", "grant", "ticket", "hold", "place", "permit", "ask", "upload",
        "pieces", "body_bytes", "held_bytes", "body_complete", "deadline", "last_deadline",
        "expire_code", "client_gone", "opened", "replied", "marked", "model", "provider",
        "provider_model", "stream", "status", "ending", "error", "attempts", "first_byte", "usage",
        "usage_covers", "left_with", "counter", "prompt", "attempt", "copying", "seen_chunks",
        "last_heard", "idle_seconds", "encoding_exact", "keep_alive", "dropped", "extent",
    )

    def __init__(
        self, connection: ClientConnection, head: RequestHead, policy: Policy, call_id: str,
        started_at_ms: int, started: float,
    ) -> None:
        self.connection = connection
        self.head = head
        self.policy = policy
        self.target: Target = head.memo.target
        self.id = call_id
        self.started_at_ms = started_at_ms
        self.started = self.ready = started
        self.story: Story | None = None
        self.plan: Plan | None = None
        self.phase = RECEIVED
        self.grant: KeyGrant | None = None
        self.ticket: Ticket | None = None
        self.hold: Hold | None = None
        self.place: Place | None = None
        self.permit: Permit | None = None
        self.ask: Ask | None = None
        self.upload: Upload | None = None
        self.pieces: list[bytes] = []
        self.body_bytes = self.held_bytes = 0
        self.body_complete = False
        self.deadline = self.last_deadline = 0.0
        self.expire_code = "request_timeout"
        self.client_gone = False
        self.opened = self.replied = False
        self.marked: tuple[float, object] | None = None
        self.model: str | None = None
        self.provider: str | None = None
        self.provider_model: str | None = None
        self.stream = False
        self.status = self.attempts = 0
        self.ending: Ending = "refused"
        self.error: str | None = None
        self.first_byte: float | None = None
        self.usage: Usage | None = None
        self.usage_covers = False
        self.left_with: tuple[int, float | None] | None = None
        self.counter: TextCounter | None = None
        self.prompt: PromptCount | None = None
        self.attempt: Attempt | None = None
        self.copying: Stream | None = None
        self.seen_chunks = 0
        self.last_heard = self.idle_seconds = 0.0
        self.encoding_exact = False
        self.keep_alive = head.keep_alive
        self.dropped: tuple[str, ...] = ()
        self.extent: Collection[str] = ()

    def wake(self) -> None:
        """Lets the story look at the state again."""
        if self.story is not None:
            self.story.wake()
        elif self.plan is not None:
            self.connection.plane.handler.arrived(self)

    def interrupt(self, error: BaseException) -> None:
        """Ends the story's wait with an error."""
        if self.plan is not None:
            self.connection.plane.handler.go_on(self)
        if self.story is not None:
            self.story.interrupt(error)

    def fail(self, error: RelayError) -> None:
        """Notes how the exchange ended, which follows from whose fault it was."""
        self.error = error.code
        if self.model is None and (error.code, error.param) == ("invalid_field", "model"):
            self.model = MODEL_UNKNOWN  # no route knows what is no name
        side = error.kind.side
        if side == "upstream":
            streaming = self.phase == Phase.STREAMING
            self.ending = "provider_truncated" if streaming else "provider_error"
        elif self.phase < Phase.DISPATCHED or side == "client" and not self.attempts:
            self.ending = "refused"
        elif side == "relay":
            self.ending = "fault" if error.code == "internal" else "stopped"
        else:  # it did not send its request to the end, or not as it has to be
            self.ending = "left" if self.asked else "left_unserved"

    def leave(self) -> None:
        """Notes that the client left; `status` stays what it got, 0 before any."""
        self.status = self._status_got
        self.ending = "left" if self.asked else "left_unserved"
        self.error = "client_left"

    @property
    def outcome(self) -> Outcome:
        """The word for how it ended, by the table of core/usage.py."""
        return ENDINGS[self.ending].outcome

    @property
    def asked(self) -> bool:
        """Whether a provider has the request, or a part of it, and has not refused it."""
        attempt = self.attempt
        return self.phase == Phase.STREAMING or attempt is not None and attempt.error is None and (
            attempt.head is None or attempt.head.status < 400)

    @property
    def _status_got(self) -> int:
        return 0 if self.copying is not None and not self.copying.begun else self.status

    def abandon(self) -> None:
        """The client left, and its reply is read on; what the client got is not changed by it."""
        self.left_with = self._status_got, self.first_byte

    def end_abandoned(self) -> None:
        """Notes, where the client left, how the rest of its reply ended."""
        if self.left_with is not None:
            self.status, self.first_byte = self.left_with
            self.error = "client_left"
            self.ending = _ABANDONED.get(self.ending, "left_cut_off")

    def keep(self, piece: bytes) -> None:
        """Holds a piece of the body; small ones together, since each takes 33 octets more."""
        pieces = self.pieces
        if pieces and len(pieces[-1]) < PIECE_BYTES:
            pieces[-1] += piece
        else:
            pieces.append(piece)
        self.held_bytes += len(piece)

    def drop_body(self) -> None:
        """Lets go of the request's content."""
        self.pieces.clear()
        if self.ask is not None:
            self.extent = self.ask.marks
        self.ask = None
        self.upload = None
        if self.held_bytes:
            self.connection.plane.overload.pending_bytes -= self.held_bytes
            self.held_bytes = 0
