"""A store for each test that asks for `db`."""

from tests.fakes.database import db

__all__ = ["db"]
