"""Tests of the demo's configuration: the values and the file say the same."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from relayd.core.route import Routes
from relayd.demo import models
from relayd.demo.partner_keys import payments_config
from relayd.demo.setup import CREDENTIAL_FILE, demo_config, write_config
from relayd.ops import configfile
from tests.fakes.till import keys


def test_the_file_says_what_the_values_say(tmp_path: Path) -> None:
    folder = tmp_path / "relayd-data"
    path = write_config(folder, 8080, 9464, 4321)
    reading = configfile.examine(path)
    assert reading.faults == []
    # the demo sends no mail: `relayd mail` shows what it would send
    assert [each.key for each in reading.warnings] == ["console"]
    assert reading.config == demo_config(folder, 8080, 9464, 4321)


def test_ways_to_pay_are_said_as_well(tmp_path: Path) -> None:
    payments = payments_config(keys(), "http://127.0.0.1:4322")
    path = write_config(tmp_path, 8080, 9464, 4321, 8081, payments)
    config = configfile.load(path)
    assert config.payments == payments
    assert config == demo_config(tmp_path, 8080, 9464, 4321, 8081, payments)
    assert keys().stripe_key not in path.read_text()
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o600}


def test_any_free_port(tmp_path: Path) -> None:
    write_config(tmp_path, 0, 0, 4321)
    config = configfile.load(tmp_path / "relayd.toml")
    assert config.server.listen == ("127.0.0.1:0",) and config.ops_listen == "127.0.0.1:0"


def test_the_directory_is_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "relayd-data"
    write_config(folder, 1, 2, 3)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}


def test_written_again_at_each_start(tmp_path: Path) -> None:
    write_config(tmp_path, 1, 2, 3)
    os.chmod(tmp_path / CREDENTIAL_FILE, 0o644)
    write_config(tmp_path, 5, 6, 7)
    assert configfile.load(tmp_path / "relayd.toml").server.listen == ("127.0.0.1:5",)
    assert stat.S_IMODE((tmp_path / CREDENTIAL_FILE).stat().st_mode) == 0o600
    assert {p.name for p in tmp_path.iterdir()} == {
        "relayd.toml", "prices.toml", CREDENTIAL_FILE}


def test_a_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("relayd-data")
    write_config(folder, 1, 2, 3)
    config = demo_config(folder, 1, 2, 3)
    assert config.store.path == str(tmp_path / "relayd-data")
    assert configfile.load(folder / "relayd.toml") == config


def test_every_model_reaches_a_provider_of_every_api(tmp_path: Path) -> None:
    config = demo_config(tmp_path, 1, 2, 3)
    routes = Routes.of(config.routes)
    spoken = {provider.dialect for provider in config.providers.values()}
    assert spoken == {"openai", "anthropic", "gemini"}
    for name in {name for names in models.NAMES.values() for name in names}:
        route = routes.find(name)
        assert route is not None
        assert {d.provider for d in route.deployments} == set(config.providers)
