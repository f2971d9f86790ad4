"""What is done to the process for good: tried in processes of their own."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from typing import Any

import pytest

from relayd.ops import process
from relayd.ops.process import (
    COLLECT_AFTER, FILES_RESERVED, SWITCH_SECONDS, connections_possible, favour_loop,
    settle_memory,
)

LIMITS = """
import ctypes, json, resource
from relayd.ops.process import file_limit, files_possible, forbid_dumps, raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
before = file_limit(), files_possible()
raised = raise_file_limit()
forbidden = forbid_dumps()
print(json.dumps({
    "before": before, "raised": raised, "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "forbidden": forbidden, "core": resource.getrlimit(resource.RLIMIT_CORE),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
}))
"""


def found_in_a_process() -> Any:
    done = subprocess.run([sys.executable, "-c", LIMITS], capture_output=True, text=True,
                          timeout=30, check=True)
    return json.loads(done.stdout)


def test_limits_of_a_process() -> None:
    found = found_in_a_process()
    soft, hard = found["files"]
    assert soft == hard == found["raised"] and soft > 64
    assert found["before"] == [64, hard]
    assert found["core"] == [0, 0]
    assert found["forbidden"] is True and found["dumpable"] == 0


def test_a_kernel_without_prctl_has_its_core_limit_all_the_same() -> None:
    code = ("import ctypes, resource; from relayd.ops import process; "
            "process.ctypes.CDLL = lambda _: None; assert process.forbid_dumps() is False; "
            "assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)")
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)


def test_what_is_loaded_is_looked_at_no_more() -> None:
    before = gc.get_threshold()
    try:
        settle_memory()
        assert gc.get_freeze_count() > 0 and gc.get_threshold() == COLLECT_AFTER
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert process.COLLECT_AFTER[0] > before[0]


def test_threads_give_way_to_the_loop() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(2 * SWITCH_SECONDS)  # another test may have run a whole daemon here
    try:
        favour_loop()
        assert sys.getswitchinterval() == SWITCH_SECONDS
    finally:
        sys.setswitchinterval(before)


def test_resident_bytes_are_those_of_this_process() -> None:
    assert 10 << 20 < process.resident_bytes() < 8 << 30


@pytest.mark.parametrize(("files", "calls", "upstream", "connections"), [
    (65_536, 10_000, 5_000, 65_536 - FILES_RESERVED - 5_000),
    (65_536, 10_000, 50_000, 65_536 - FILES_RESERVED - 10_000),
    (20_000, 10_000, 10_000, 9_936),
    (1024, 10_000, 3_072, (1024 - FILES_RESERVED) // 2),
    (16, 10_000, 3_072, 1),
])
def test_files_are_shared_out(files: int, calls: int, upstream: int, connections: int) -> None:
    assert connections_possible(files, calls, upstream) == connections
