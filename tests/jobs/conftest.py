"""A store for each test that asks for `db`, and its door."""

from tests.fakes.database import db
from tests.fakes.door import door

__all__ = ["db", "door"]
