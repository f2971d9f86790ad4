"""Lawful requests as rows: who asks, and their reference, sealed under the key of the year in
which the file ends."""

from __future__ import annotations

from typing import Final

import orjson

from relayd.core.errors import RelayError
from relayd.core.lawful import LawfulRequest
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "legal_requests"
_SELECT: Final = (
    "SELECT id, account_id, basis, state, authority, reference, document_sha256, scope, since_ms,"
    " until_ms, requester, opened_at_ms, expires_at_ms, approver, decided_at_ms, produced_at_ms,"
    " produced, produced_sha256, canary_sha256, gag_until_ms, notified_at_ms, year"
    " FROM legal_requests"
)


def _request(transaction: Transaction, row: Row) -> LawfulRequest:
    values = list(row[:-1])
    for place, column in ((4, "authority"), (5, "reference")):
        values[place] = transaction.unseal(
            f"vault:{row[-1]}", _TABLE, column, row[0], row[place])
    values[7] = tuple(orjson.loads(row[7]))
    return LawfulRequest(*values)


async def insert(transaction: Transaction, request: LawfulRequest, year: int) -> None:
    """Add a request whose file ends in this year."""
    owner = f"vault:{year}"
    await transaction.sealer.keyring.make(owner)
    await transaction.run(
        "INSERT INTO legal_requests (id, account_id, basis, state, year, authority, reference,"
        " document_sha256, scope, since_ms, until_ms, requester, opened_at_ms, expires_at_ms,"
        " gag_until_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (request.id, request.account, request.basis, request.state, year,
         transaction.seal(owner, _TABLE, "authority", request.id, request.authority),
         transaction.seal(owner, _TABLE, "reference", request.id, request.reference),
         request.document_sha256, orjson.dumps(request.scope).decode(), request.since_ms,
         request.until_ms, request.requester, request.opened_at_ms, request.expires_at_ms,
         request.gag_until_ms))


async def update(transaction: Transaction, request: LawfulRequest) -> None:
    """Write what can change of a request; who asks for what stays as it was entered."""
    await transaction.run(
        "UPDATE legal_requests SET state = ?, approver = ?, decided_at_ms = ?, produced_at_ms = ?,"
        " produced = ?, produced_sha256 = ?, canary_sha256 = ?, notified_at_ms = ? WHERE id = ?",
        (request.state, request.approver, request.decided_at_ms, request.produced_at_ms,
         request.produced, request.produced_sha256, request.canary_sha256,
         request.notified_at_ms, request.id))


async def get(transaction: Transaction, request_id: str) -> LawfulRequest:
    """The request with this id. Raises `request_not_found`."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (request_id.strip(),))
    if row is None:
        raise RelayError("request_not_found", param="request")
    return _request(transaction, row)


async def listing(transaction: Transaction) -> list[LawfulRequest]:
    """All requests, newest first."""
    rows = await transaction.rows(f"{_SELECT} ORDER BY id DESC")
    return [_request(transaction, row) for row in rows]


async def expiring(transaction: Transaction, now_ms: int) -> list[LawfulRequest]:
    """Requests whose time is over and that nobody has ended."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE state IN ('open', 'approved') AND expires_at_ms <= ? ORDER BY id",
        (now_ms,))
    return [_request(transaction, row) for row in rows]


async def untold(transaction: Transaction, now_ms: int) -> list[LawfulRequest]:
    """Produced requests of which the owner may be told now, and was not."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE state = 'produced' AND notified_at_ms IS NULL"
        " AND COALESCE(gag_until_ms, 0) <= ? ORDER BY id", (now_ms,))
    return [_request(transaction, row) for row in rows]


async def told(transaction: Transaction, account: str) -> frozenset[str]:
    """The ids of an account's requests of which its owner knows."""
    rows = await transaction.rows(
        "SELECT id FROM legal_requests WHERE account_id = ? AND notified_at_ms IS NOT NULL",
        (account,))
    return frozenset(row[0] for row in rows)


async def counts(transaction: Transaction) -> list[Row]:
    """(basis, state, number) of all requests."""
    return await transaction.rows(
        "SELECT basis, state, COUNT(*) FROM legal_requests GROUP BY basis, state"
        " ORDER BY basis, state")


async def delete_before(transaction: Transaction, ended_before_ms: int, most: int) -> int:
    """Delete the files of requests that ended before a moment, and of which the owner knows where
    there is something to know."""
    return await transaction.run(
        "DELETE FROM legal_requests WHERE id IN (SELECT id FROM legal_requests"
        " WHERE state NOT IN ('open', 'approved')"
        " AND (state <> 'produced' OR notified_at_ms IS NOT NULL)"
        " AND COALESCE(produced_at_ms, decided_at_ms, expires_at_ms) < ? LIMIT ?)",
        (ended_before_ms, most))
