"""The doctor's findings about prices, files, room, processes and systemd."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from relayd.core.price import Price, PriceBook, UnitPrices
from relayd.core.provider import Address, ClientClose, Provider
from relayd.core.route import Deployment, Route
from relayd.core.timestamp import DAY_MS
from relayd.ops.config import BillingConfig, Config, ServerConfig, StoreConfig
from relayd.ops.doctor_config import (
    config_findings, files_finding, journal_room_finding, prices_finding, processes_finding,
    unit_finding,
)

NOW = 1_800_000_000_000
CONFIG = Config({}, ())
PROVIDER = Provider("p", "openai", Address("https", "api.example.org", 443, ""), ())


@pytest.mark.parametrize("age_days, level", [(None, "warn"), (1, "ok"), (180, "ok"),
                                             (181, "warn"), (-5, "warn")])
def test_prices(age_days: int | None, level: str) -> None:
    prices = [] if age_days is None else [
        Price("*", UnitPrices(input=1), since_ms=NOW - age_days * DAY_MS)]
    found = prices_finding(replace(CONFIG, prices=PriceBook(prices)), NOW)
    assert found.level == level and bool(found.remedy) == (level == "warn")


def test_prices_without_a_date_are_not_of_1970() -> None:
    """Found by relayd demo's doctor: the newest was of 1970-01-01, 20788 days ago."""
    found = prices_finding(
        replace(CONFIG, prices=PriceBook([Price("*", UnitPrices(input=1))])), NOW)
    assert found.level == "warn" and "none has a date" in found.sentence
    assert "1970" not in found.sentence + found.remedy


@pytest.mark.parametrize("pattern, unpriced, level", [
    ("gpt-*", "serve", "warn"), ("gpt-5", "serve", "ok"), ("gpt-*", "refuse", None)])
def test_models_that_cost_nothing(
    tmp_path: Path, pattern: str, unpriced: Literal["serve", "refuse"], level: str | None,
) -> None:
    for prepaid in (True, False):
        config = Config(
            {}, (Route(pattern, (Deployment("p"),)),), store=StoreConfig(str(tmp_path)),
            billing=BillingConfig(prepaid=prepaid, unpriced=unpriced))
        found = {finding.subject: finding for finding in config_findings(config, NOW, tmp_path)}
        finding = found.get("unpriced models")
        assert (None if finding is None else finding.level) == (level if prepaid else None)
        assert finding is None or (pattern in finding.sentence) == (level == "warn")


@pytest.mark.parametrize("closes, level", [
    (("cancel", "drain"), "warn"), (("drain", "drain_uncounted"), "ok")])
def test_who_leaves_early(tmp_path: Path, closes: tuple[ClientClose, ...], level: str) -> None:
    providers = {f"p{number}": replace(PROVIDER, name=f"p{number}", on_client_close=close)
                 for number, close in enumerate(closes)}
    for prepaid in (True, False):
        config = Config(providers, (), store=StoreConfig(str(tmp_path)),
                        billing=BillingConfig(prepaid=prepaid))
        found = {finding.subject: finding for finding in config_findings(config, NOW, tmp_path)}
        finding = found.get("left early")
        assert (None if finding is None else finding.level) == (level if prepaid else None)
        assert finding is None or ("p0" in finding.sentence) == (level == "warn")
        assert finding is None or "p1" not in finding.sentence


@pytest.mark.parametrize("hard, level", [
    (resource.RLIM_INFINITY, "ok"), (65536, "ok"), (8192, "ok"), (1024, "warn")])
def test_open_files(monkeypatch: pytest.MonkeyPatch, hard: int, level: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    found = files_finding(20_000)
    assert found.level == level
    assert ("fewer clients" in found.sentence) == (hard in (8192, 1024))


def test_room_for_the_journal(tmp_path: Path) -> None:
    assert journal_room_finding(str(tmp_path), 1).level == "ok"
    finding = journal_room_finding(str(tmp_path), 2 ** 60)
    assert finding.level == "warn" and f"grow to {2 ** 40} MiB" in finding.sentence


def test_processes() -> None:
    alone = replace(CONFIG, server=ServerConfig(reuse_port=True))
    assert processes_finding(alone).level == "warn"
    both = replace(alone, store=StoreConfig(shared=True))
    assert processes_finding(both).level == "ok"


def test_systemd(tmp_path: Path) -> None:
    assert "does not run" in unit_finding(tmp_path).sentence
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert unit_finding(tmp_path).level == "warn"
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/relayd.service").touch()
    assert unit_finding(tmp_path).level == "ok"


def test_what_does_not_apply_is_not_said(tmp_path: Path) -> None:
    config = replace(CONFIG, store=StoreConfig(str(tmp_path / "none")))
    said = [finding.subject for finding in config_findings(config, NOW, tmp_path)]
    assert said == ["prices", "open files", "systemd"]
    config = replace(CONFIG, store=StoreConfig(str(tmp_path), shared=True))
    said = [finding.subject for finding in config_findings(config, NOW, tmp_path)]
    assert said == ["prices", "open files", "journal room", "processes", "systemd"]
