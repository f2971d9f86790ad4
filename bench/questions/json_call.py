"""What does a JSON call of 300 bytes cost, 16 connections at a time?"""

from __future__ import annotations

from bench import payload, rounds
from bench.client import Load
from bench.peers import AUDIT, RELAYS, Peer
from bench.result import Outcome
from bench.rounds import Job
from bench.settings import Settings


async def calls(peer: Peer, settings: Settings) -> int:
    """The calls of a round; returns their number."""
    requests = payload.chat_requests(peer.key, stream=False)
    async with Load(peer.port, requests, settings.json_connections) as load:
        return len(await load.closed(settings.json_calls))


def run(settings: Settings) -> Outcome:
    """`call_us`: CPU of the relay's processes per call; audit mode shows what counting takes."""
    return rounds.ask("json", settings, (*RELAYS, AUDIT), [Job("call_us", calls)])
