"""`[store]`: the place, and a master key that is kept elsewhere."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from relayd.ops.config import MasterKey, StoreConfig
from relayd.ops.configfile_credential import Secrets, Surroundings
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_section import Section
from relayd.ops.configfile_store import master_key_bytes, read_store

HEX = "0a" * 32


def read(
    folder: Path, secrets: Secrets = "resolve", **values: Any
) -> tuple[StoreConfig, Findings]:
    findings = Findings({})
    section = Section(values, ("store",), findings)
    return read_store(section, Surroundings({"KEY": HEX, "BAD": "x"}, folder, secrets)), findings


def test_without_a_word_of_it(tmp_path: Path) -> None:
    config, findings = read(tmp_path, path="store")
    assert config == StoreConfig(str(tmp_path / "store")) and not findings.faults


@pytest.mark.parametrize("path", ["file", "file/store", "x" * 300])
def test_what_cannot_be_a_directory(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    _, findings = read(tmp_path, path=path)
    assert [fault.key for fault in findings.faults] == ["store.path"]


@pytest.mark.parametrize("secrets", ["resolve", "examine", "skip"])
def test_a_reference(tmp_path: Path, secrets: Secrets) -> None:
    config, findings = read(tmp_path, secrets, master_key={"env": "KEY"})
    assert config.master_key is not None and config.master_key.text == HEX
    assert config.master_key.file is None and not findings.faults
    assert HEX not in repr(config)
    file = tmp_path / "key"
    file.write_text(HEX + "\n")
    file.chmod(0o600)
    config, findings = read(tmp_path, secrets, master_key={"file": "key"})
    assert config.master_key is not None and config.master_key.text == HEX
    assert config.master_key.file == str(file) and not findings.faults


def test_a_rotated_key_is_no_other_configuration() -> None:
    one, other = MasterKey(HEX, "/key"), MasterKey("0b" * 32, "/key")
    assert StoreConfig(master_key=one) == StoreConfig(master_key=other)
    assert StoreConfig(master_key=one) != StoreConfig()


@pytest.mark.parametrize("value", [HEX, {"env": "BAD"}, {"env": "MISSING"}, [{"env": "KEY"}], 3])
def test_faults(tmp_path: Path, value: Any) -> None:
    _, findings = read(tmp_path, master_key=value)
    assert [fault.key for fault in findings.faults][0].startswith("store.master_key")
    assert HEX not in str(findings.faults)


def test_where_it_cannot_be_followed_the_store_says_so(tmp_path: Path) -> None:
    config, findings = read(tmp_path, "skip", master_key={"systemd": "master_key"})
    assert config.master_key == MasterKey("") and not findings.faults


def test_keys_without_their_master_key(tmp_path: Path) -> None:
    (tmp_path / "keys.db").touch()
    _, findings = read(tmp_path, path=".")
    [warning] = findings.warnings
    assert warning.key == "store.path" and "master.key" in warning.problem
    assert not read(tmp_path, path=".", master_key={"env": "KEY"})[1].warnings
    (tmp_path / "master.key").touch()
    assert not read(tmp_path, path=".")[1].warnings


def test_usual_mistakes(tmp_path: Path) -> None:
    _, findings = read(tmp_path, directory="x", key={"env": "KEY"})
    assert [fault.remedy for fault in findings.faults] == [
        "Did you mean 'path'?", "Did you mean 'master_key'?"]


def test_keys_in_hex_and_base64() -> None:
    key = bytes(range(32))
    assert master_key_bytes(key.hex()) == master_key_bytes(base64.b64encode(key).decode()) == key
    for text in ("", "0a" * 31, "0a" * 33, "zz" * 32, base64.b64encode(bytes(31)).decode()):
        assert master_key_bytes(text) is None
