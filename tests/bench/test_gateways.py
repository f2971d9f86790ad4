"""relayd beside others: the pure parts, and a small run of what needs no installation."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.gateways import install, launch, measure, running, table
from bench.gateways.__main__ import BEGIN, END
from bench.gateways.catalogue import BY_NAME, ENTRIES
from bench.gateways.measure import FULL, affordable
from bench.peers import DIRECT, NGINX, RELAYD
from bench.process import NotStarted
from bench.report import README, fill
from bench.result import Kept
from bench.sample import Sample

ROOT = Path(__file__).resolve().parents[2]


def kept(*samples: Sample, skipped: dict[str, str] | None = None) -> Kept:
    return Kept("peers", "2026-01-01T00:00:00Z", {"commit": "abc1234", "nginx": "nginx/1.22.1"},
                {"per_second": 200.0, "rounds": 2}, skipped or {}, list(samples))


def sample(peer: str, number: int, **figures: float) -> Sample:
    return Sample(peer, number, figures)


RUN = (
    sample(DIRECT, 0, call_p50_us=100.0, first_byte_p50_us=100.0),
    sample(NGINX, 0, call_us=15.0, event_us=10.0, call_p50_us=125.0, rss_mib=18.0),
    sample(RELAYD, 0, call_us=50.0, event_us=20.0, call_p50_us=160.0),
    sample("rolter", 0, call_us=80.0, event_us=18.0, call_p50_us=190.0),
    sample("litellm", 0, call_us=12000.0, event_us=800.0, calls_per_second=80.0),
)


def test_all_that_are_installed_have_a_launch_and_a_pinned_version() -> None:
    for entry in ENTRIES:
        assert (entry.source == "ours") == (entry.name not in launch.LAUNCHES)
        if entry.source in ("pypi", "npm"):
            assert entry.version and entry.version[0].isdigit(), entry.name


@pytest.mark.parametrize("name", launch.LAUNCHES)
def test_a_launch_names_its_upstream_and_listens_on_loopback(name: str, tmp_path: Path) -> None:
    found = launch.LAUNCHES[name](launch.Site(tmp_path, tmp_path, 4001, 4002, 4003))
    everything = " ".join((*found.command, *found.files.values(), *found.environ.values()))
    assert "4003" in everything
    assert ("4001" in everything) != found.tells_port
    assert "0.0.0.0" not in everything


def test_a_slow_peer_does_less_of_the_same() -> None:
    assert affordable(FULL, 1e-5) == FULL.calls
    assert FULL.calls_least < affordable(FULL, 0.01) < FULL.calls
    assert affordable(FULL, 10.0) == FULL.calls_least


def test_rows_go_by_what_a_call_takes() -> None:
    assert [entry.name for entry in table.seen(RUN)] == [NGINX, RELAYD, "rolter", "litellm"]
    assert table.least(RUN, "event_us") == {
        NGINX: 10.0, RELAYD: 20.0, "rolter": 18.0, "litellm": 800.0}


def test_relayd_is_judged_against_gateways_alone() -> None:
    assert table.behind(RUN, "call_us") == []
    assert table.behind(RUN, "event_us") == ["rolter (1.11 times)"]


def test_the_text_says_delays_absentees_and_who_was_full() -> None:
    said = table.text(kept(*RUN, skipped={"smg": "it does not serve"}))
    assert "per call: relayd takes less than every gateway here" in said
    assert "per event: relayd takes more than rolter (1.11 times)" in said
    assert "| nginx | proxy, reads no body | 15.0 (15.0) | 10.0 (10.0) | 25.0 |" in said
    assert "full at 80.0/s" in said
    assert "* smg: it does not serve" in said
    assert "nginx/1.22.1" in said and "0.1.0" in said


def test_without_relayd_nothing_is_claimed() -> None:
    assert "relayd takes" not in table.text(kept(*RUN[:2], RUN[3]))


def test_a_noisy_machine_is_said() -> None:
    assert "not quiet" in table.text(kept(sample(NGINX, 0, call_us=1.0, foreign_cores=0.5)))
    assert "not quiet" not in table.text(kept(*RUN))


def test_readme_has_the_place_for_it() -> None:
    filled = fill(README.read_text("utf-8"), "THE TABLE", BEGIN, END)
    assert f"{BEGIN}\n\nTHE TABLE\n\n{END}" in filled


def test_the_cache_is_outside_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert install.cache_folder() == tmp_path / "relayd-bench"


def test_what_is_installed_stays_and_what_fails_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = BY_NAME["rolter"]
    (tmp_path / entry.name).mkdir()
    stamp = tmp_path / entry.name / install.STAMP
    stamp.write_text("rolter==0.0.9")

    def refuse(command: object, home: Path) -> None:
        raise NotStarted("not installed: no such version")

    monkeypatch.setattr(install, "_run", refuse)
    with pytest.raises(NotStarted, match="no such version"):
        install.ready(entry, tmp_path)
    stamp.write_text("rolter==0.1.0")
    assert install.ready(entry, tmp_path) == tmp_path / entry.name


def test_a_group_ends_whole_also_what_its_leader_left_behind(tmp_path: Path) -> None:
    leader = launch.Launch([sys.executable, "-c", "import subprocess, time; "
                            "subprocess.Popen(['sleep', '60']); time.sleep(60)"])
    with running._group(leader, tmp_path, tmp_path / "log") as pid:
        for _ in range(100):
            if len(running.members(pid)) == 2:
                break
            time.sleep(0.05)
        assert len(running.members(pid)) == 2
    # the kernel takes its time where it is busy
    for _ in range(100):
        if not running.members(pid):
            break
        time.sleep(0.05)
    assert running.members(pid) == []


def test_it_runs_with_relayd_and_the_plain_relay() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gateways", "--quick", RELAYD, "plain aiohttp"], cwd=ROOT,
        capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "| **relayd** |" in done.stdout and "Did not take part" not in done.stdout
    assert measure.QUICK.name == "peers-quick"
