"""`pip install changes` alone is the agent and the command line; the extra `server` adds the rest."""

import subprocess
import sys

# Stands in front of all importing, as if only the base dependencies were installed.
ONLY_BASE = """
import sys

class Absent:
    server_only = {"sqlalchemy", "celery", "fastapi", "starlette", "psycopg", "alembic", "lxml",
                   "structlog", "uvicorn", "jinja2", "obstore", "yaml", "redis", "kombu", "prometheus_client"}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.server_only:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ONLY_BASE + program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_agent_needs_no_part_of_the_server() -> None:
    done = run("from changes.agent.main import main; main(['--help'])")

    assert done.returncode == 0, done.stderr
    assert "--server" in done.stdout


def test_the_command_line_needs_no_part_of_the_server() -> None:
    done = run("from changes.app.cli.main import main; main()", "build", "--help")

    assert done.returncode == 0, done.stderr
    assert "--patch" in done.stdout


def test_a_command_of_the_server_says_what_to_install() -> None:
    done = run("from changes.app.cli.main import main; main()", "db", "check")

    assert done.returncode == 2
    assert "pip install 'changes[server]'" in done.stderr
