"""Rules of this house that no linter knows. Each was seen to fail when broken."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import BEGUN_FIRST
from typer.main import get_command

from changes.app import server
from changes.app.cli.main import app as command_line
from changes.app.schedule import PERIODIC
from changes.base import settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src"
DOCS = ROOT / "docs"
VAGUE = {"utils", "util", "helpers", "common", "misc", "manager", "lib"}
LINES_PER_FILE, LINES_PER_FUNCTION, LINES_PER_VIEW = 400, 40, 25
PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org"}


def sources() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def test_files_fit_on_a_few_screens() -> None:
    assert [str(path) for path in sources() if len(path.read_text().splitlines()) > LINES_PER_FILE] == []


def test_functions_fit_on_one_screen() -> None:
    too_long = []
    for path in sources():
        limit = LINES_PER_VIEW if "api" in path.parts or "pages" in path.parts else LINES_PER_FUNCTION
        too_long += [
            f"{path.relative_to(PACKAGE)}:{each.name}"
            for each in functions(path)
            if (each.end_lineno or each.lineno) - each.lineno >= limit
        ]
    assert too_long == []


def test_every_name_says_what_is_inside() -> None:
    assert [str(path) for path in PACKAGE.rglob("*") if path.stem in VAGUE] == []


def test_no_file_postpones_its_annotations() -> None:
    postponed = "from __future__ import " + "annotations"
    assert [str(path) for path in sources() if postponed in path.read_text()] == []


def test_lock_files_name_no_host_but_the_public_two() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text()))
    assert hosts <= PUBLIC_HOSTS
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def documentation() -> str:
    return "\n".join(path.read_text() for path in DOCS.rglob("*.md"))


def test_every_setting_is_documented() -> None:
    text = (DOCS / "install" / "settings.md").read_text()
    assert [name for name in settings.documented_names() if f"`{name}`" not in text] == []


def test_every_route_is_documented() -> None:
    text = documentation()
    paths = server.create_app().openapi()["paths"]
    assert [path for path in paths if f"`{path}`" not in text] == []


def commands(group: object, prefix: str = "changes") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def test_every_command_is_documented() -> None:
    text = documentation()
    assert [name for name in commands(get_command(command_line)) if f"`{name}" not in text] == []


def test_every_periodic_task_is_documented() -> None:
    text = documentation()
    assert [periodic.name for periodic in PERIODIC if f"`{periodic.name}`" not in text] == []


def test_what_is_begun_first_is_there() -> None:
    assert [name for name in BEGUN_FIRST if not (ROOT / "tests" / name).exists()] == []


def test_no_test_is_named_by_chance() -> None:
    """Two workers that find different names run nothing at all."""
    chance = {"new", "uuid4", "uuid7", "now", "time", "next", "random", "token_hex", "free_port", "getpid"}
    named = [
        f"{path.name}:{call.lineno}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for test in ast.parse(path.read_text()).body
        for mark in getattr(test, "decorator_list", [])
        for call in ast.walk(mark)
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in chance
    ]
    assert named == []


def test_only_one_place_hands_out_steps() -> None:
    """`dispatch.py` alone moves pending_allocation to allocated."""
    allocating = [
        path.name
        for path in (PACKAGE / "changes").rglob("*.py")
        if re.search(r"status\s*=\s*(?:int\()?Status\.ALLOCATED", path.read_text())
    ]
    assert allocating == []
