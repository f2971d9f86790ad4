"""What does an agent's request of 80 KB cost, answered by a short stream?"""

from __future__ import annotations

from bench import payload, rounds
from bench.client import Load
from bench.peers import AUDIT, NGINX, PLAIN, RELAYD, Peer
from bench.result import Outcome
from bench.rounds import Job
from bench.settings import Settings


async def calls(peer: Peer, settings: Settings) -> int:
    """The calls of a round; returns their number."""
    requests = payload.agent_requests(peer.key)
    async with Load(peer.port, requests, settings.agent_connections) as load:
        return len(await load.closed(settings.agent_calls))


def run(settings: Settings) -> Outcome:
    """`call_us`; relayd counts in audit mode, and inline beside it for what counting costs."""
    return rounds.ask("agent", settings, (NGINX, PLAIN, AUDIT, RELAYD), [Job("call_us", calls)])
