"""What must hold of a simulated relay: while it rests, and of each call when all is over."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from relayd.core.record import CallRecord
from tests.fakes.simclient import Call
from tests.fakes.simprovider import TAG, Seen

if TYPE_CHECKING:
    from tests.fakes.simworld import World

ON_THE_WAY_SECONDS = 0.3
"""How long what was sent may take to be seen."""
HEARTBEAT = re.compile(rb": [a-z-]*\n\n|:\n\n|event: ping\ndata: \{\"type\": ?\"ping\"\}\n\n")
ERROR = re.compile(
    rb"(?:\n\n)?(?:event: error\n)?data: \{\"(?:error|type\":\"error)\"[^\n]*\n\n\Z")
FINAL = {"302", "401", "500", "garbage"}
"""After these (core/retry.py) another deployment may be asked, and not the same one again."""


def at_rest(world: World) -> list[str]:
    """What is held though no call is under way."""
    plane = world.plane
    gates = {id(p.gate): p.gate for plan in plane.policy.plans.values() for p in plan.places
             if p.gate is not None}
    holds = plane.wallets._wallets.values()
    held = {
        "calls": len(plane.inflight), "unsettled": plane.unsettled,
        "connections": len(plane.connections), "addresses": len(plane.addresses),
        "body bytes": plane.overload.pending_bytes, "running": plane.admission.running,
        "abandoned": len(plane.abandoned), "writes": len(plane.turn.due),
        "money": sum(wallet.reserved for wallet in holds),
        "alone": sum(wallet.alone for wallet in holds),
        "gates": sum(gate.busy + gate.waiting for gate in gates.values()),
        "busy connections": sum(pool.busy for pool in plane.pools()
                                if not pool.provider.probe_seconds),
        "kept connections": 0 if any(
            pool.provider.probe_seconds for pool in plane.pools()) else sum(
            pool.idle for pool in plane.pools()),
        "open in the journal": len(world.journal._live),
        "records waiting": len(world.journal.pending),
    }
    return [f"{count} {name} at rest" for name, count in held.items() if count]


def check(world: World) -> list[str]:
    """What went wrong with calls, by what each side saw."""
    found = [*world.providers.faults, *(f for client in world.clients for f in client.faults)]
    if '"fault"' in world.log.getvalue() or '"level":"error"' in world.log.getvalue():
        found.append(f"it logged {[x for x in world.log.getvalue().splitlines() if 'error' in x]}")
    if world.crashed:
        return found + _after_crash(world)
    by_tag: defaultdict[bytes, list[CallRecord]] = defaultdict(list)
    for record in world.records:
        by_tag[(record.model or "").encode()].append(record)
    seen: defaultdict[bytes, list[Seen]] = defaultdict(list)
    for each in world.providers.seen:
        seen[each.tag].append(each)
        found += _private(world, each)
    for call in world.calls:
        there = seen[call.tag]
        faults = [*_reply(call, there), *_attempts(call, there),
                  *_record(world, call, there, by_tag[call.tag])]
        found += [f"{call.tag!r} {call.api} {fault}" for fault in faults]
    spent = sum(record.amount_nano for _, record in world.held.values())
    kept = sum(wallet._sum for wallet in world.plane.wallets._wallets.values())
    if spent != kept:
        found.append(f"wallets have {kept} of {spent}")
    return found


def _private(world: World, seen: Seen) -> list[str]:
    texts = [b"secret-client", b"10.9.", b"sk-relayd", b"relay.test"]
    return [f"{seen.provider} saw {text!r}" for text in texts if text in seen.raw]


def _reply(call: Call, seen: list[Seen]) -> list[str]:
    reply = call.reply
    if reply is None:
        return []
    if set(TAG.findall(reply.head + reply.body)) - {call.tag}:
        return [f"got another call's bytes: {reply.body!r}"]
    if b"set-cookie" in reply.head.lower():
        return ["got a cookie"]
    if reply.status != 200:
        return [] if reply.ended != "complete" or b"error" in reply.body else [
            f"got no error: {reply.body!r}"]
    body = _plain(reply.body)
    whole = reply.ended == "complete"
    if any(body == _plain(s.visible) and s.status == 200 for s in seen):
        return []
    if whole and not any(_is_said(s) for s in seen):
        return [f"got {body!r} for {[(s.kind, s.visible) for s in seen]}"]
    passed = ERROR.sub(b"", body).split(b'\n\ndata: {"error"')[0]
    events = passed[:passed.rfind(b"\n\n") + 1]  # half of an event that is hidden may pass
    if not any(_plain(s.visible).startswith(events) for s in seen):
        return [f"got {body!r}, which is the beginning of none of {[s.visible for s in seen]}"]
    return []


def _is_said(seen: Seen) -> bool:
    """Whether a stream that ends early may have said all that the model had to say."""
    return seen.kind in ("half", "half head", "half reset", "bare")


def _plain(body: bytes) -> bytes:
    """Without heartbeats; a blank line more says nothing."""
    return re.sub(rb"\n\n+", b"\n\n", HEARTBEAT.sub(b"", body)).lstrip(b"\n")


def _record(world: World, call: Call, seen: list[Seen], records: list[CallRecord]) -> list[str]:
    reply = call.reply
    if len(records) > 1:
        return [f"has {len(records)} records"]
    if not records:
        return [f"has no record, though {[s.kind for s in seen]}"] if seen else []
    record, found = records[0], []
    if reply is not None and (record.id != call.id or record.status != reply.status):
        found.append(f"got {reply.status} {call.id}: {record}")
    if record.outcome == "refused" and seen:
        found.append(f"was refused and sent: {record}")
    if record.attempts < len(seen):
        found.append(f"was sent {len(seen)} times: {record}")
    stopped = world.drained and record.outcome == "interrupted"
    if record.outcome in ("client_left", "interrupted") and not (call.left or stopped):
        found.append(f"did not leave: {record}")
    if record.outcome == "completed":
        found += _completed(call, record, seen)
    elif reply is not None and reply.status == 200 and reply.ended == "complete":
        found.append(f"got all of it: {record}")
    return found


def _completed(call: Call, record: CallRecord, seen: list[Seen]) -> list[str]:
    good = [s for s in seen if s.provider == record.provider and s.status == 200]
    if not good:
        return [f"is no completed call: {record} of {[(s.kind, s.status) for s in seen]}"]
    if call.upload or any(_is_said(s) for s in good):  # which may end without a report
        return []
    told = record.input_tokens, record.output_tokens
    if record.usage_source != "reported" or told not in [s.usage for s in good]:
        return [f"used {[s.usage for s in good]}: {record}"]
    return []


def _attempts(call: Call, seen: list[Seen]) -> list[str]:
    """Whether it was sent only as often as core/retry.py allows."""
    if call.upload and sum(s.body_came for s in seen) > 1:
        return ["is an upload and was sent twice"]
    found = []
    for n, later in enumerate(seen):
        if call.head_at and later.at > call.head_at + ON_THE_WAY_SECONDS:
            found.append("was sent after its answer")
        for earlier in seen[:n]:
            over = earlier.whole_at and later.at > earlier.whole_at + ON_THE_WAY_SECONDS
            if over and earlier.whole and earlier.kind == "good":
                found.append("was sent again after a good answer")
            same = (earlier.provider, earlier.other) == (later.provider, later.other)
            if same and earlier.kind in FINAL:
                found.append(f"was sent to {later.provider} again after {earlier.kind}")
    return found


def _after_crash(world: World) -> list[str]:
    found = []
    records = Counter(record.id for record in world.recovered())
    found += [f"{name} is recorded {n} times" for name, n in records.items() if n > 1]
    models = {record.model for record in world.recovered()}
    found += [f"{tag!r} was sent and is lost" for tag in world._seen_then
              if tag.decode() not in models]
    torn = Counter(record.id for record in world.torn())
    found += [f"{name} is recorded {n} times (torn)" for name, n in torn.items() if n > 1]
    found += [f"{name} is made of nothing" for name in torn if name not in records]
    return found
