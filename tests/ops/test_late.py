"""Libraries that are imported when first used."""

from __future__ import annotations

import sys
import threading
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from relayd.ops.late import Late, ready

NAME = "relayd_test_of_late"


class _Watching(MetaPathFinder):
    """Which threads looked for the module."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name == NAME:
            self.threads.append(threading.get_ident())
        return None


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Watching:
    (tmp_path / f"{NAME}.py").write_text("VALUE = 5\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    found = _Watching()
    monkeypatch.setattr(sys, "meta_path", [found, *sys.meta_path])
    return found


def test_it_is_imported_by_its_first_use(watching: _Watching) -> None:
    module = Late(NAME)
    assert NAME not in sys.modules and not watching.threads
    assert module.VALUE == 5 and NAME in sys.modules
    assert module.VALUE == 5 and len(watching.threads) == 1
    with pytest.raises(AttributeError):
        module.OTHER


async def test_it_is_made_ready_on_a_thread(watching: _Watching) -> None:
    module = Late(NAME)
    await ready(module)
    assert module.VALUE == 5
    assert watching.threads and threading.get_ident() not in watching.threads
    await ready(module)
    assert len(watching.threads) == 1


async def test_a_module_that_is_there_is_ready() -> None:
    await ready(sys)


async def test_what_is_not_there_is_told_when_it_is_used() -> None:
    module = Late("relayd_no_such_module")
    with pytest.raises(ModuleNotFoundError):
        await ready(module)
    with pytest.raises(ModuleNotFoundError):
        module.VALUE
