"""Wiped memory: the settings, one new start, and what freed objects say of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from relayd.ops import wipe

ON = {"PYTHONMALLOC": "malloc",
      "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}
SEEN = "from relayd.ops.wipe import wipes; print(wipes())"
ANEW = ("import os, sys\n"
        "from relayd.ops import wipe\n"
        "if wipe.due(True, os.environ): wipe.start_anew(os.environ)\n"
        "print(os.getpid(), wipe.wipes(), *sys.argv[1:])")


def run(code: str, *words: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items()
             if name not in (*ON, wipe.MARK)}
    done = subprocess.run([sys.executable, "-c", code, *words], env={**clean, **environment},
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_settings_keep_what_else_was_set() -> None:
    made = wipe.wiping({"A": "b", "GLIBC_TUNABLES": "glibc.malloc.perturb=1:glibc.rtld.nns=4"})
    assert made["A"] == "b" and made["PYTHONMALLOC"] == "malloc" and wipe.MARK in made
    assert made["GLIBC_TUNABLES"] == (
        "glibc.rtld.nns=4:glibc.malloc.perturb=165:glibc.malloc.tcache_count=0")


@pytest.mark.parametrize(("wanted", "environment", "is_due"), [
    (True, {}, True), (False, {}, False), (True, ON, False), (True, {wipe.MARK: "1"}, False),
    (True, {**ON, "PYTHONMALLOC": "pymalloc"}, True),
    (True, {**ON, "GLIBC_TUNABLES": "glibc.malloc.perturb=165"}, True),
])
def test_when_it_starts_anew(wanted: bool, environment: dict[str, str], is_due: bool) -> None:
    assert wipe.due(wanted, environment) is is_due
    assert not wipe.due(wanted, wipe.wiping(environment))


@pytest.mark.parametrize(("environment", "wiped"), [
    ({}, False), (ON, True), ({"PYTHONMALLOC": "malloc"}, False),
    ({"GLIBC_TUNABLES": ON["GLIBC_TUNABLES"]}, False),
    ({**ON, "GLIBC_TUNABLES": "glibc.malloc.perturb=165"}, False),
    ({wipe.MARK: "1"}, False),
])
def test_freed_objects_tell_what_is_in_force(environment: dict[str, str], wiped: bool) -> None:
    assert run(SEEN, **environment) == str(wiped)


def test_the_new_start_is_the_same_process_with_the_same_words() -> None:
    process = subprocess.Popen([sys.executable, "-c", ANEW, "a", "b c"], stdout=subprocess.PIPE,
                               text=True)
    out, _ = process.communicate()
    assert out.strip() == f"{process.pid} True a b c"


def test_a_hup_as_it_starts_anew_does_not_end_it() -> None:
    """Nobody can handle it then, and the program is about to read its configuration anyway."""
    handler = "import signal\nprint(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    assert run(f"{ANEW}\n{handler}").endswith("\nTrue")
