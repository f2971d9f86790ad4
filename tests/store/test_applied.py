"""The journal's position moves forward with the records and never back."""

from relayd.store import applied
from relayd.store.applied import Applied
from relayd.store.db import Database


async def test_it_moves_forward_alone_and_lane_by_lane(db: Database) -> None:
    async with db.writing() as transaction:
        assert await applied.position(transaction, 0) == 0
        for number in (5, 9, 7):
            await applied.advance(transaction, Applied(0, number))
        await applied.advance(transaction, Applied(2, 1))
    async with db.reading() as transaction:
        found = [await applied.position(transaction, lane) for lane in (0, 1, 2)]
    assert found == [9, 0, 1]


async def test_it_is_undone_with_its_transaction(db: Database) -> None:
    try:
        async with db.writing() as transaction:
            await applied.advance(transaction, Applied(0, 3))
            raise LookupError
    except LookupError:
        pass
    async with db.reading() as transaction:
        assert await applied.position(transaction, 0) == 0
