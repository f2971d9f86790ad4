"""Call records field by field: what many of them share is found, and added up, in one go.

Law: the values are those of the records, in their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import astuple

from relayd.core.record import CallRecord

PART_RECORDS: Final = 200
"""How many are taken together: all that is done with these is far below 1 ms."""

Places = tuple[int, ...]
Column = tuple[Any, ...]

_PLACES: Final = {name: place for place, name in enumerate(CallRecord.__struct_fields__)}


def places(*names: str) -> Places:
    """Where fields of these names lie in `Columns.values`."""
    return tuple(_PLACES[name] for name in names)


class Columns:
    """`records`, one at least, and their `values`, a column for each field of a record."""

    __slots__ = ("records", "values")

    def __init__(self, records: Sequence[CallRecord]) -> None:
        self.records = records
        self.values: list[Column] = list(zip(*map(astuple, records), strict=True))

    def __len__(self) -> int:
        return len(self.records)

    def alike(self, where: Places) -> bool:
        """Whether all records have the same in each of these fields."""
        values, count = self.values, len(self.records)
        for place in where:
            column = values[place]
            if column.count(column[0]) != count:
                return False
        return True

    def of(self, where: Places) -> list[Column]:
        """The columns of these fields."""
        values = self.values
        return [values[place] for place in where]

    def groups(self, by: Places, wanted: Places) -> Iterator[tuple[Column, Sequence[Column]]]:
        """What the records have in the fields `by`, and of those alike in it the `wanted` ones."""
        if self.alike(by):
            yield tuple([column[0] for column in self.of(by)]), self.of(wanted)
            return
        found: defaultdict[Column, list[Column]] = defaultdict(list)
        for names, row in zip(zip(*self.of(by)), zip(*self.of(wanted))):
            found[names].append(row)
        for names, rows in found.items():
            yield names, list(zip(*rows))


def in_parts(records: Sequence[CallRecord], most: int = PART_RECORDS) -> list[Columns]:
    """All of them, in their order, `most` at once."""
    return [Columns(records[at:at + most]) for at in range(0, len(records), most)]


def in_one(parts: Iterable[Columns]) -> list[CallRecord]:
    """The records again."""
    return [record for part in parts for record in part.records]
