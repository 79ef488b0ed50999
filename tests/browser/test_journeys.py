"""Three people and a whole system of real processes: a newcomer, an author, an operator."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from tests.browser.conftest import PHONE, WIDE
from tests.scenarios import prepared
from tests.scenarios.running import RunningSystem, commit_everything, running_system, write_files

from changes.base import clock
from changes.builds.models import Node

pytestmark = [pytest.mark.system, pytest.mark.front_end]

BUILD_WITHIN_MS = 400_000
JUNIT = (
    '<testsuite><testcase classname="cart" name="test_total">'
    '<failure message="{said}"/></testcase></testsuite>'
)
RED = {
    "junit.xml": JUNIT.format(said="expected 42, got 41"),
    "check.sh": "echo collecting\necho cart: expected 42, got 41 >&2\nexit 1\n",
    ".changes.yml": "plans:\n- name: tests\n  commands: [sh check.sh]\n  artifacts: [junit.xml]\n",
}
GREEN = {
    "check.sh": "echo all is well\n",
    ".changes.yml": "plans:\n- name: tests\n  commands: [sh check.sh]\n",
}


@pytest.fixture(scope="module")
def whole() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@dataclass(frozen=True)
class Visitor:
    page: Page
    url: str

    def goes(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page


@pytest.fixture
def olga(whole: RunningSystem, browser: Browser) -> Iterator[Visitor]:
    """The administrator, who came in by the link that the command line printed."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(BUILD_WITHIN_MS)
    page = context.new_page()
    page.goto(link_for(whole, "olga@example.com"))
    page.locator("main").get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{whole.url}/")
    yield Visitor(page, whole.url)
    context.close()


def link_for(whole: RunningSystem, email: str) -> str:
    """Typed on the machine that runs the system."""
    known = prepared.command("user", "create", email, "--admin", env=whole.web.env)
    assert known.returncode in (0, 1), known.stderr
    printed = prepared.command("user", "link", email, env=whole.web.env)
    assert printed.returncode == 0, printed.stderr
    return f"{whole.url}/auth/link/{printed.stdout.strip().rpartition('/auth/link/')[2]}"


def repository(folder: Path, files: dict[str, str]) -> Path:
    write_files(folder, files)
    commit_everything(folder)
    return folder


def test_a_newcomer_gets_to_a_green_build_of_an_own_repository(olga: Visitor, tmp_path: Path) -> None:
    source = repository(tmp_path / "greetings", GREEN)
    page = olga.goes("/")

    page.get_by_role("link", name="Projects").first.click()
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name").fill("Greetings")
    page.get_by_label("Repository").fill(str(source))
    page.get_by_role("button", name="Make the project").click()
    page.get_by_role("button", name="Start the first build").click()

    expect(page).to_have_url(f"{olga.url}/projects/greetings/builds/1/")
    # Nobody reloads: the page follows its build to the end.
    expect(page.locator("main").get_by_text("Passed").first).to_be_visible(timeout=BUILD_WITHIN_MS)
    expect(page).to_have_title("✓ greetings #1 · Changes")


def test_an_author_finds_out_why_a_build_is_red(olga: Visitor, whole: RunningSystem, tmp_path: Path) -> None:
    slug = whole.project(RED)
    build = whole.api.post("/builds/", project=slug, sha="main")[0]
    page = olga.goes("/")
    number = build["number"]

    page.get_by_role("link", name="Projects").first.click()
    page.get_by_role("link", name=slug, exact=True).first.click()
    page.get_by_role("link", name=f"#{number}").first.click()
    # The message of the test, and the end of the log, without another click.
    expect(page.get_by_text("expected 42, got 41").first).to_be_visible(timeout=BUILD_WITHIN_MS)
    expect(page.get_by_text("cart: expected 42, got 41").first).to_be_visible(timeout=BUILD_WITHIN_MS)
    expect(page.locator("main").get_by_text("Failed").first).to_be_visible()

    write_files(whole.repository_of(slug), GREEN)
    commit_all(whole.repository_of(slug))
    page.goto(f"{olga.url}/projects/{slug}/build/")
    page.locator("main").get_by_role("button", name="Build").last.click()
    expect(page.locator("main").get_by_text("Passed").first).to_be_visible(timeout=BUILD_WITHIN_MS)


def commit_all(folder: Path) -> None:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    git = [shutil.which("git") or "git", "-C", str(folder), *who]
    subprocess.run([*git, "commit", "-qam", "Mend the sum"], check=True)


def test_an_operator_takes_a_machine_out_and_lets_it_work_again(
    olga: Visitor, whole: RunningSystem, tmp_path: Path
) -> None:
    slug = whole.project(GREEN)
    with whole.database.transaction() as session:
        tester = session.execute(select(Node).where(Node.label == "tester")).scalar_one()
        tester.quarantines, tester.quarantined_until = 1, clock.now() + timedelta(hours=1)
    number = whole.api.post("/builds/", project=slug, sha="main")[0]["number"]
    page, build = olga.page, f"{olga.url}/projects/{slug}/builds/{number}/"

    page.goto(build)
    expect(page.locator("main").get_by_text("tester is in quarantine").first).to_be_visible()
    page.get_by_role("link", name="Nodes").first.click()
    page.get_by_role("link", name="tester", exact=True).first.click()
    node = page.url
    expect(page.get_by_role("button", name="Trust it again")).to_be_visible()
    page.get_by_role("link", name="Drain …").click()
    page.get_by_label("Why").fill("a new disk")
    page.locator("main").get_by_role("button", name="Drain").click()
    expect(page).to_have_url(node)
    page.goto(build)
    expect(page.locator("main").get_by_text("tester is drained (a new disk)").first).to_be_visible()
    page.goto(node)
    page.get_by_role("link", name="Disable …").click()
    page.locator("main").get_by_role("button", name="Disable").click()
    expect(page.locator("h1 + .badge")).to_have_text("disabled")
    page.get_by_role("button", name="Let it work again").click()

    page.goto(build)
    expect(page.locator("main").get_by_text("Passed").first).to_be_visible(timeout=BUILD_WITHIN_MS)


def test_an_operator_learns_why_the_queue_is_stuck_and_frees_it(
    olga: Visitor, whole: RunningSystem, tmp_path: Path
) -> None:
    whole.agent.stop()
    slug = whole.project(GREEN)
    build = whole.api.post("/builds/", project=slug, sha="main")[0]
    page = olga.goes(f"/projects/{slug}/builds/{build['number']}/")
    page.set_viewport_size(PHONE)

    expect(page.locator("main").get_by_text("Waiting").first).to_be_visible()
    expect(page.locator("main").get_by_text("agent").first).to_be_visible()

    whole.agent.start()
    expect(page.locator("main").get_by_text("Passed").first).to_be_visible(timeout=BUILD_WITHIN_MS)
