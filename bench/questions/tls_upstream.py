"""What do the JSON call and the event cost where the upstream speaks TLS, as providers do?"""

from __future__ import annotations

from bench import rounds
from bench.peers import RELAYS
from bench.questions import json_call, sse_event
from bench.result import Outcome
from bench.rounds import Job
from bench.settings import Settings


def run(settings: Settings) -> Outcome:
    """`call_us` and `event_us`, clients on plain HTTP."""
    jobs = [Job("call_us", json_call.calls), Job("event_us", sse_event.streams)]
    return rounds.ask("tls", settings, RELAYS, jobs, tls=True)
