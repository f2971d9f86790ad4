"""Abuse: look at what is known of accounts, keep what rules find, suspend, decide.

Law: a suspension is made with its finding, its notice and its audit event or not at all. Nobody
stays suspended by a rule alone: a person lifts or confirms each finding, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from relayd.control import audit, standing
from relayd.control.door import new_id
from relayd.control.standing import Grounds
from relayd.core.abuse import (
    QUIET_MS, RULES, AbuseRules, Finding, Found, Signs, State, Verdict, advance, judge,
)
from relayd.core.actor import SYSTEM, Actor
from relayd.core.timestamp import DAY_MS, rfc3339, rfc3339_or_none
from relayd.store import abuse as store_abuse
from relayd.store import account as store_account
from relayd.store.abuse import Figures
from relayd.store.db import Database
from relayd.store.transaction import Transaction

ID_PREFIX: Final = "find_"


@dataclass(frozen=True, slots=True)
class Lookout:
    """`rules` in force; `networks`: of each key, from how many it was used today; `disposable`
    tells an address of minutes; `origin` is the console's, for the link of a notice."""

    rules: AbuseRules
    networks: Mapping[str, int]
    disposable: Callable[[str], bool]
    origin: str


async def look(db: Database, lookout: Lookout, now_ms: int) -> list[Finding]:
    """Apply the rules to every account of which something is known; what is new is kept."""
    async with db.reading_long() as transaction:
        signs = await _signs(transaction, lookout, now_ms)
        judged = await store_abuse.judged(transaction, now_ms - QUIET_MS)
    fresh = [(each.account, found) for each in signs for found in judge(each, lookout.rules)
             if (each.account, found.rule) not in judged]
    return [kept for account, found in fresh
            if (kept := await _keep(db, account, found, (lookout, now_ms))) is not None]


async def _signs(transaction: Transaction, lookout: Lookout, now_ms: int) -> Iterable[Signs]:
    calls = await store_abuse.calls(transaction, now_ms)
    payments = await store_abuse.payments(transaction, now_ms)
    wrong = await store_abuse.wrong_sign_ins(transaction, now_ms)
    networks = await _networks(transaction, lookout.networks)
    brief = await _brief(transaction, lookout, now_ms)
    known = sorted({*calls, *payments, *wrong, *networks, *brief})
    return [_of(account, (calls, payments, wrong), networks.get(account, 0), account in brief)
            for account in known]


def _of(
    account: str, figures: tuple[Figures, Figures, Figures], networks: int, brief: bool
) -> Signs:
    calls, payments, wrong = figures
    hour, usual = calls.get(account, (0, 0))
    tried, failed, returned = payments.get(account, (0, 0, 0))
    return Signs(account, hour, usual, networks, tried, failed, returned,
                 wrong.get(account, (0,))[0], brief)


async def _networks(transaction: Transaction, by_key: Mapping[str, int]) -> dict[str, int]:
    """The same by account: of its key that was used from the most."""
    if not by_key:
        return {}
    owners = await store_abuse.owners(transaction, by_key)
    found: dict[str, int] = {}
    for key, count in by_key.items():
        account = owners.get(key)
        if account is not None:
            found[account] = max(count, found.get(account, 0))
    return found


async def _brief(transaction: Transaction, lookout: Lookout, now_ms: int) -> set[str]:
    """Accounts of the last day with an address of minutes."""
    if lookout.rules.disposable_mail == "allow":
        return set()
    found = set()
    for account_id in await store_abuse.made_since(transaction, now_ms - DAY_MS):
        account = await store_account.readable(transaction, account_id)
        if account is not None and account.email and lookout.disposable(account.email):
            found.add(account_id)
    return found


async def _keep(
    db: Database, account_id: str, found: Found, by: tuple[Lookout, int]
) -> Finding | None:
    """Keeps a finding and, where its rule says so, suspends; None where it cannot be any more."""
    lookout, now_ms = by
    async with db.writing() as transaction:
        account = await store_account.readable(transaction, account_id)
        if account is None or account.state in ("erased", "terminated"):
            return None
        # once more: another process may have found it, or somebody decided on it, meanwhile
        if (account_id, found.rule) in await store_abuse.judged(
                transaction, now_ms - QUIET_MS, account_id):
            return None
        suspends = found.rule in lookout.rules.suspend and account.state == "active"
        finding = Finding(new_id(ID_PREFIX, now_ms), account_id, found.rule, now_ms, found.figure,
                          found.bound, suspends)
        await store_abuse.insert(transaction, finding)
        await audit.append(transaction, SYSTEM, "abuse.find", account_id, now_ms, details={
            "finding": finding.id, "rule": found.rule, "figure": found.figure,
            "bound": found.bound, "suspends": suspends})
        if suspends:
            grounds = Grounds(RULES[found.rule][1], lookout.origin, f"Rule: {found.rule}")
            await standing.suspend(transaction, SYSTEM, account_id, grounds, now_ms)
    return finding


async def decide(
    db: Database, actor: Actor, finding_id: str, verdict: Verdict,
    why: tuple[str | None, str], now_ms: int,
) -> Finding:
    """A person's decision; `why` is their reason, and the console's origin for the notice.

    Lifting resumes an account that nothing else keeps suspended. Raises `finding_not_found`,
    `finding_state` or `reason_missing`.
    """
    reason, origin = why
    async with db.writing() as transaction:
        finding = await store_abuse.get(transaction, finding_id)
        decided = replace(finding, state=advance(finding.state, verdict), decided_at_ms=now_ms,
                          decided_by=actor.account)
        await store_abuse.update(transaction, decided)
        await audit.append(transaction, actor, f"abuse.{verdict}", finding.account, now_ms,
                           reason=reason, details={"finding": finding.id, "rule": finding.rule})
        if verdict == "lift" and finding.suspended:
            await _resume(transaction, actor, finding, (origin, now_ms))
    return decided


async def _resume(
    transaction: Transaction, actor: Actor, finding: Finding, by: tuple[str, int]
) -> None:
    account = await store_account.known(transaction, finding.account)
    # what somebody, or another rule, suspended since then is not this finding's to lift
    if account.state == "suspended" and not await store_abuse.suspended_since(
            transaction, account.id, finding.at_ms):
        await standing.resume(transaction, actor, account.id, *by)


async def listing(
    db: Database, *, state: State | None = None, who: str | None = None
) -> list[Finding]:
    """Findings, the latest first: all, in one state, of one account."""
    async with db.reading() as transaction:
        account = None if who is None else (await store_account.known(transaction, who)).id
        return await store_abuse.listing(transaction, state=state, account=account)


def view(finding: Finding) -> dict[str, object]:
    """The finding as JSON shows it."""
    return {
        "id": finding.id, "account": finding.account, "rule": finding.rule,
        "at": rfc3339(finding.at_ms), "figure": finding.figure, "bound": finding.bound,
        "suspended": finding.suspended, "state": finding.state,
        "decided_at": rfc3339_or_none(finding.decided_at_ms),
        "decided_by": finding.decided_by,
    }
