"""A price file is added to, and nothing of it is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relayd.core.price import Price, unit_prices
from relayd.ops.pricefile import read_prices
from relayd.ops.pricetext import entries_text
from relayd.ops.pricewrite import add_to_file


def price(model: str, units: int, since_ms: int = 0) -> Price:
    return Price(model, unit_prices({"input": units}), since_ms=since_ms)


def test_a_file_is_only_added_to(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    os.umask(umask := os.umask(0o022))
    add_to_file(path, entries_text("First.", [price("a", 1)]))
    before = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644 & ~umask
    path.chmod(0o600)
    add_to_file(path, entries_text("Second.", [price("a", 2, 100), price("b", 1)]))
    assert path.read_text().startswith(before) and path.stat().st_mode & 0o777 == 0o600
    assert "# Second." in path.read_text() and [p.name for p in tmp_path.iterdir()] == [path.name]
    reading = read_prices(path.read_text())
    assert reading.book.prices == (price("a", 1), price("a", 2, 100), price("b", 1))


def test_it_stays_its_owner_s_and_where_it_is(tmp_path: Path) -> None:
    path, link = tmp_path / "shared.toml", tmp_path / "prices.toml"
    path.write_text("# First.\n")
    path.chmod(0o640)
    if os.geteuid() == 0:  # as an operator is who adds to the daemon's file
        os.chown(path, 65534, 65534)
    link.symlink_to(path)
    before = path.stat()
    umask = os.umask(0o077)
    try:
        add_to_file(link, "# Second.\n")
    finally:
        os.umask(umask)
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid, before.st_gid, before.st_mode)
    assert link.is_symlink() and path.read_text() == "# First.\n\n# Second.\n"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        add_to_file(tmp_path / "none" / "prices.toml", "# x")
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "prices.toml.new").symlink_to(target)
    with pytest.raises(OSError):
        add_to_file(tmp_path / "prices.toml", "# x")
    assert target.read_text() == "mine"
