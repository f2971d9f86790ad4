"""Figures over accounts: groups, and who is left out."""

from __future__ import annotations

from dataclasses import replace

from relayd.core.account import Account
from relayd.core.anonymity import Cell
from relayd.core.columns import in_parts
from relayd.core.erasure import Cause, Erasure, ErasureState
from relayd.core.rollup import rollups
from relayd.store import account, erasure, rollup, transparency
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


async def test_by_model_and_without_nobody(db: Database) -> None:
    records = [call_record(account=f"acct_{n % 2}", model="m", input_tokens=3, output_tokens=4)
               for n in range(4)]
    async with db.writing() as transaction:
        await rollup.add(transaction, rollups(in_parts([
            *records, call_record(account="acct_1", model=None)])))
        await transaction.run("UPDATE rollups SET account_id = '' WHERE account_id = 'acct_0'")
        found = await transparency.use_by_model(transaction, START_MS, START_MS + 3_600_000)
        assert found == {"m": Cell(1, 2, 14)}
        assert await transparency.use_by_model(transaction, 0, START_MS) == {}


async def test_erasures_that_were_carried_out_by_their_causes(db: Database) -> None:
    causes: tuple[Cause, ...] = ("holder", "holder", "holder", "operator", "operator")
    ends: tuple[ErasureState, ...] = ("erased", "erased", "cancelled", "erased", "cooling")
    async with db.writing() as transaction:
        assert await transparency.erasures(transaction) == {}
        for number, (cause, end) in enumerate(zip(causes, ends, strict=True)):
            owner = Account(f"acct_{number}", f"{number}@example.org", None, "active", 0)
            await account.insert(transaction, owner)
            made = Erasure(f"era_{number}", owner.id, cause, "cooling", 5, 100, "active")
            await erasure.insert(transaction, made, bytes([number] * 32))
            if end != "cooling":
                await erasure.end(transaction, replace(made, state=end, ended_at_ms=9), None)
        assert await transparency.erasures(transaction) == {"holder": 2, "operator": 1}
