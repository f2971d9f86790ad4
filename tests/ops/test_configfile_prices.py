"""`[prices]`: which file is read, and whose fault is what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.core.price import NO_PRICES
from relayd.ops import configfile
from relayd.ops.check import check

ENTRY = '[[price]]\nmodel = "m"\ninput = "1"\n'


@pytest.mark.parametrize(("config", "files", "models"), [
    ("", {}, []),
    ("", {"prices.toml": "m"}, ["m"]),
    ('[prices]\nfile = "p/mine.toml"\n', {"p/mine.toml": "a", "prices.toml": "b"}, ["a"]),
])
def test_which_file(tmp_path: Path, config: str, files: dict[str, str], models: list[str]) -> None:
    (tmp_path / "relayd.toml").write_text(config)
    (tmp_path / "p").mkdir()
    for name, model in files.items():
        (tmp_path / name).write_text(ENTRY.replace('"m"', f'"{model}"'))
    book = configfile.load(tmp_path / "relayd.toml").prices
    assert [price.model for price in book.prices] == models
    assert bool(models) or book == NO_PRICES


def test_faults_of_the_price_file_are_faults_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "relayd.toml").write_text('\n[prices]\nfile = "p.toml"\nbooc = 1\n')
    (tmp_path / "p.toml").write_text(ENTRY + "output = 0.5\n")
    faults = configfile.examine(tmp_path / "relayd.toml").faults
    places = [(fault.key, fault.line) for fault in faults]
    assert places == [("prices.file", 3), ("prices.booc", 4)]
    assert "p.toml: line 4: price[0].output: is a binary fraction" in faults[0].problem
    code, text = check(tmp_path / "relayd.toml")
    assert code == 2 and "p.toml: line 4" in text


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "relayd.toml").write_text('[prices]\nfile = "none.toml"\n')
    [fault] = configfile.examine(tmp_path / "relayd.toml").faults
    assert "cannot be read" in fault.problem and fault.key == "prices.file"
