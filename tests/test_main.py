"""`python -m relayd`."""

from __future__ import annotations

import subprocess
import sys


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "relayd", "--help"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("usage: relayd ")
    assert "accounts" in done.stdout
    done = subprocess.run([sys.executable, "-m", "relayd", "nonsense"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stdout == ""
