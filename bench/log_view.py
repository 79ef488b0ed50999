"""The page of a step that printed a million lines, in a browser: until it is painted, and its middle is."""

import os
import shutil
import time
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, sync_playwright

from bench import agents, projects, system
from bench.figures import Figure, Goal, Limit, median
from bench.system import System
from bench.wire import HOST
from changes.base.db import Database
from changes.people import users
from changes.web.auth import COOKIE

LINES, ORDINARY = 1_000_000, 10
WAIT_MS = 60_000
MS_PER_S = 1000
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FLAGS = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]


def measure(*, quick: bool) -> Iterator[Figure]:
    lines, rounds = (LINES // 10, 2) if quick else (LINES, 7)
    with system.running() as up, agents.real(up, 1), sync_playwright() as playwright:
        long, short = (printed(up, f"lines-{count}", count) for count in (lines, ORDINARY))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        seen = [Seen(browser, up) for _ in range(rounds)]
        limit = Limit("of ten lines", median([each.painted_ms(short, ORDINARY) for each in seen]))
        painted = [each.painted_ms(long, lines) for each in seen]
        middle = [each.middle_ms(long, lines // 2) for each in seen]
        browser.close()
    goal = Goal("at most", MS_PER_S)
    yield Figure(
        f"log of {lines:,} lines, painted", median(painted), "ms", count=rounds, limit=limit, goal=goal
    )
    yield Figure("its middle, by a link", median(middle), "ms", count=rounds, limit=limit, goal=goal)


def printed(up: System, slug: str, lines: int) -> str:
    """The address of the step, once it has ended."""
    project = projects.without_checkout(up, slug, f"seq {lines}")
    build = projects.build_to_the_end(up, project)
    caller = up.caller()
    [job] = caller.get_json(f"/api/0/builds/{build['id']}/")["jobs"]
    [phase] = caller.get_json(f"/api/0/jobs/{job['id']}/phases/")
    return f"/steps/{phase['steps'][0]['id']}/"


class Seen:
    """A browser of its own, with nothing kept from before."""

    def __init__(self, browser: Browser, up: System) -> None:
        self._url = f"http://{HOST}:{up.port}"
        self._context = browser.new_context(viewport={"width": 1440, "height": 900})
        self._context.set_default_timeout(WAIT_MS)
        self._context.add_cookies([{"name": COOKIE, "value": session_of(up), "url": self._url}])

    def _opened(self, path: str) -> Page:
        page = self._context.new_page()
        page.goto(f"{self._url}{path}")
        return page

    def painted_ms(self, path: str, last: int) -> float:
        """With the last line, which is what somebody comes for."""
        page = self._opened(path)
        page.wait_for_selector(f"#L{last}")
        page.wait_for_function(PAINTED)
        painted = float(page.evaluate(PAINTED))
        page.close()
        return painted

    def middle_ms(self, path: str, line: int) -> float:
        page = self._context.new_page()
        began = time.perf_counter()
        page.goto(f"{self._url}{path}#L{line}")
        page.wait_for_selector(f"#L{line}:not(.log-blank)")
        elapsed = time.perf_counter() - began
        page.close()
        return elapsed * MS_PER_S


def session_of(up: System) -> str:
    with Database(up.database.replace("postgresql://", "postgresql+psycopg://")).transaction() as session:
        somebody = users.create(session, f"reader-{time.monotonic_ns()}@example.com", is_admin=True)
        return users.open_session(session, somebody.id)
