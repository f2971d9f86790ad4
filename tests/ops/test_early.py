"""Signals before there is a loop: they end nothing, or all at once and well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from relayd.ops import early

CODE = """
import os, signal, sys
from relayd.ops import early
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets its children ignore it
with early.signals():
    os.kill(os.getpid(), signal.SIGHUP)
    asked = early.Asked()
    assert not asked
    os.kill(os.getpid(), signal.SIGHUP)
    assert asked
    print("here", flush=True)
    try:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    except BaseException:
        print("caught")
"""


@pytest.mark.parametrize(("name", "code"), [
    ("SIGHUP", 0), ("SIGTERM", 0), ("SIGKILL", -signal.SIGKILL)])
def test_a_process(name: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "here\n", "")


def test_it_is_as_it_was_afterwards() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)]

    before = handlers()
    with pytest.raises(ValueError), early.signals():
        asked = early.Asked()
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked and handlers() != before
        raise ValueError
    assert handlers() == before


def test_a_thread_that_no_signal_comes_to() -> None:
    seen = []

    def inside() -> None:
        with early.signals():
            seen.append(bool(early.Asked()))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [False]
