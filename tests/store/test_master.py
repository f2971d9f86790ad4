"""The master key: made once, read from where it is kept, replaced in one step."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from relayd.ops.config import MasterKey
from relayd.store import master
from relayd.store.directory import StoreError
from relayd.store.master import FILE_NAME, Master, alone, draft_of, find, holds, new_key, write

KEY = bytes(range(32))


def refused(directory: Path, config: MasterKey | None = None) -> str:
    with pytest.raises(StoreError) as caught:
        find(directory, config, make=False)
    return caught.value.code


def test_it_is_made_once_beside_the_store(tmp_path: Path) -> None:
    assert refused(tmp_path) == "store_master_key" and not list(tmp_path.iterdir())
    made = find(tmp_path, None, make=True)
    assert find(tmp_path, None, make=True) == made == find(tmp_path, None, make=False)
    assert made.path == tmp_path / FILE_NAME and len(made.key) == 32
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert made.key.hex() not in repr(made) and str(made.key) not in repr(made)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    (tmp_path / FILE_NAME).chmod(0o600)
    assert refused(tmp_path) == "store_master_key"
    (tmp_path / FILE_NAME).chmod(0o644)
    assert refused(tmp_path) == "store_open_to_others"
    assert refused(tmp_path, MasterKey("")) == "store_master_key"


def test_a_command_without_the_services_credentials_is_told_so(tmp_path: Path) -> None:
    """It need not fear that the key is lost."""
    told = []
    for text in ("", "no key"):
        with pytest.raises(StoreError) as caught:
            find(tmp_path, MasterKey(text), make=False)
        told.append(caught.value.why)
    assert "[store] master_key" in told[0] and told[1] == ""


def test_a_file_of_another_user_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("relayd.store.secret.os.open", closed)
    with pytest.raises(StoreError) as caught:
        find(tmp_path, None, make=False)
    assert (caught.value.code, caught.value.why) == ("store_permission", "'master.key'")


@pytest.mark.parametrize("text", [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode()])
def test_one_of_the_configuration_makes_no_file(tmp_path: Path, text: str) -> None:
    found = find(tmp_path, MasterKey(text), make=True)
    assert (found.key, found.path) == (KEY, None) and list(found.again()) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [True, False])
def test_the_next_one_takes_its_place_in_one_step(tmp_path: Path, text: bool) -> None:
    path = tmp_path / "key"
    write(path, KEY, text)
    old = Master(KEY, path, text)
    assert [each.key for each in old.again()] == [KEY]
    for key in (new_key(), new := new_key()):  # a draft of before is replaced
        old.draft(key)
    assert [each.key for each in old.again()] == [KEY, new]
    wanted = Master(new, path, text)
    assert holds(draft_of(path), wanted) and not holds(path, wanted)
    old.settle()
    assert [each.key for each in old.again()] == [new] and not draft_of(path).exists()
    assert path.stat().st_mode & 0o777 == 0o600
    old.settle()
    assert holds(path, wanted)


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "key", KEY, True)
    with pytest.raises(FileExistsError):
        master.write(tmp_path / "key", KEY, True)


def test_one_at_a_time_changes_it(tmp_path: Path) -> None:
    with alone(tmp_path):
        with pytest.raises(StoreError) as caught, alone(tmp_path):
            pass
        assert caught.value.code == "store_busy"
    with alone(tmp_path):
        pass


def test_a_file_that_is_not_there_holds_no_key(tmp_path: Path) -> None:
    assert holds(tmp_path / "key", Master(KEY)) is False
