"""The process that serves pages: what it asks of the system it runs on."""

import subprocess
import sys

LIMIT = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"


def test_more_pages_may_be_open_than_a_system_allows_at_first() -> None:
    program = f"from changes.app import web; web.allow_many_connections(); {LIMIT}"

    told = subprocess.run(
        ["sh", "-c", 'ulimit -Sn 256; exec "$0" -c "$1"', sys.executable, program],
        check=True,
        capture_output=True,
        text=True,
    )

    assert int(told.stdout) > 256
