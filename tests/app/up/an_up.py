"""A `changes up` whose programs are stand-ins.

Words after home and port: `embedded` starts PostgreSQL and Valkey, `stubborn` makes the agent
deaf to TERM, `no-web` makes the web end at once, `bad-prepare` and `slow-prepare` say themselves.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from changes.app.up import supervise
from changes.app.up.children import Child
from changes.app.up.main import Steps, UpOptions, run

# The end of each is written down where the test can read the order of them.
WAITING = """
import os, signal, subprocess, sys, time
def stop(*_):
    with open(os.environ["CHANGES_HOME"] + "/order", "a") as order:
        order.write(os.environ["STAND_IN"] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else stop)
subprocess.Popen(["sleep", "120"])
print("here", flush=True)
with open(os.environ["CHANGES_HOME"] + "/here-" + os.environ["STAND_IN"], "w") as here:
    here.write(str(os.getppid()))
while True:
    time.sleep(60)
"""
WEB = (
    """
import http.server, os, signal, sys, threading
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Health)
threading.Thread(target=server.serve_forever, daemon=True).start()
"""
    + WAITING
)


def prepare(env: dict[str, str]) -> None:
    sys.stdout.write(f"prepare {env['DATABASE_URL']} {env['BROKER_URL']}\n")
    sys.stdout.flush()
    if "bad-prepare" in sys.argv:
        subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)
    if "slow-prepare" in sys.argv:
        time.sleep(60)


def is_here(home: Path, name: str) -> bool:
    """Whether it listens to signals already, in this run and not in an earlier one of the same home."""
    here = home / f"here-{name}"
    return here.exists() and here.read_text() == str(os.getpid())


def ready(env: dict[str, str]) -> None:
    home = Path(env["CHANGES_HOME"])
    while not all(is_here(home, name) for name in ("agent", "worker", "web")):
        time.sleep(0.01)
    sys.stdout.write(f"READY on {env['PORT']}\n")
    sys.stdout.flush()


def stand_in(name: str, code: str, stop_rank: int) -> Child:
    words = ("stubborn",) if name == "agent" and "stubborn" in sys.argv else ()
    argv = (sys.executable, "-c", code, *words)
    # Only who never stops may be given up; others take as long as a busy machine needs.
    return Child(name, argv, env={"STAND_IN": name}, stop_rank=stop_rank, stop_within_s=2 if words else 60)


def main() -> int:
    url = None if "embedded" in sys.argv else "postgresql://elsewhere"
    broker_url = None if "embedded" in sys.argv else "redis://elsewhere"
    # How long a busy machine takes to end them is not what the tests are about.
    supervise.STOP_ALL_WITHIN_S = 100.0
    options = UpOptions(Path(sys.argv[1]), port=int(sys.argv[2]), database_url=url, broker_url=broker_url)
    web = "raise SystemExit('no such setting')" if "no-web" in sys.argv else WEB
    children = [stand_in("agent", WAITING, 0), stand_in("worker", WAITING, 1), stand_in("web", web, 1)]
    return run(options, children, Steps(prepare, ready))


if __name__ == "__main__":
    sys.exit(main())
