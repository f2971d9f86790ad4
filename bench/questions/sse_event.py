"""What does an event of a stream cost, 64 events paced 2 ms, several streams at a time?"""

from __future__ import annotations

from bench import payload, rounds
from bench.client import Broken, Load
from bench.peers import RELAYS, Peer
from bench.result import Outcome
from bench.rounds import Job
from bench.settings import Settings


async def streams(peer: Peer, settings: Settings) -> int:
    """The streams of a round; returns their events, every one of which must have come."""
    requests = payload.chat_requests(peer.key, stream=True, events=settings.events)
    expected = settings.events + payload.EVENTS_AROUND
    async with Load(peer.port, requests, settings.streams_at_once) as load:
        answers = await load.closed(settings.streams)
    if any(answer.events != expected for answer in answers):
        raise Broken(f"{peer.name}: a stream had not {expected} events")
    return len(answers) * expected


def run(settings: Settings) -> Outcome:
    """`event_us`: CPU per event, the stream's share of its request included."""
    return rounds.ask("sse", settings, RELAYS, [Job("event_us", streams)])
