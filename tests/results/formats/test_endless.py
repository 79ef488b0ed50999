"""A report of a gigabyte is read in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

PROGRAM = Path(__file__).with_name("endless.py")
# 64 million characters of messages are kept, and what reading itself needs.
GROWN_MAX_KB = 200 * 1024


@pytest.mark.parametrize("kind", ["junit", "files", "nunit", "xunit", "trx", "ctest", "robot", "tap", "go"])
def test_a_report_of_a_gigabyte_is_read_in_bounded_memory(kind: str) -> None:
    done = subprocess.run([sys.executable, PROGRAM, kind], capture_output=True, check=True, text=True)

    told = json.loads(done.stdout)
    assert told["size_bytes"] > 10**9
    assert told["tests"] == 2000
    assert told["grown_kb"] < GROWN_MAX_KB
