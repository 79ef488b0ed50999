"""An open page follows what happens, and never moves what its reader looks at."""

import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, expect
from sqlalchemy import text
from tests.browser.conftest import NewReader, Reader, Site, complaints
from tests.factories import a_build, a_project, as_caller
from tests.web.conftest import API, Agent, connections_in_use, wait_until

from changes.app import server
from changes.app.web import Server
from changes.builds import cancel, nodes
from changes.builds.models import Build
from changes.projects.models import Project

pytestmark = [pytest.mark.system, pytest.mark.front_end]

# What a reload would take away.
REMEMBER, REMEMBERED = "window.opened = 'before'", "window.opened"
BOX = ".log-viewer .log-lines"
HIDING = """
Object.defineProperty(document, "hidden", { configurable: true, get: () => window.isAway === true });
window.away = (isAway) => { window.isAway = isAway; document.dispatchEvent(new Event("visibilitychange")); };
"""


class Work:
    """A machine that does what the test says, and the builds it does it for."""

    def __init__(self, site: Site, http: httpx.Client) -> None:
        self.site, self.http = site, http
        with site.database.transaction() as session:
            token = nodes.make_enrolment_token(session)
        enrolment = {"token": token, "name": f"machine {token[-6:]}", "slots": 1}
        enrolled = http.post(f"{API}/agents/enrol/", json=enrolment).json()
        self.agent = Agent(http, as_caller(enrolled["token"]), enrolled["node_id"])  # type: ignore[arg-type]

    def ask_for_build(self, slug: str = "") -> Build:
        with self.site.database.transaction() as session:
            known = session.query(Project).filter_by(slug=slug).one_or_none() if slug else None
            return a_build(session, known or a_project(session, slug), plans=0 if known else 1)

    def take(self, build: Build) -> dict[str, Any]:
        """Other tests of the file may have left steps behind."""
        offers = self.agent.next(slots=99)
        [offer] = [each for each in offers if each["build"] == build.id.hex]
        return offer

    def cancel(self, build: Build) -> None:
        with self.site.database.transaction() as session:
            cancel.cancel_build(session, session.get_one(Build, build.id))


@pytest.fixture
def work(site: Site) -> Iterator[Work]:
    with httpx.Client(base_url=site.url, timeout=90) as http:
        yield Work(site, http)


@pytest.fixture
def reader(new_reader: NewReader) -> Reader:
    reader = new_reader()
    reader.page.add_init_script(HIDING)
    return reader


def opened(reader: Reader, path: str) -> Page:
    """And connected, so that from now on it hears of everything."""
    page = reader.opens_live(path)
    expect(page.locator("#live-sign")).to_contain_text("Live")
    page.evaluate(REMEMBER)
    return page


def path_of(build: Build) -> str:
    return f"/projects/{build.project.slug}/builds/{build.number}/"


def top_of(page: Page, selector: str) -> float:
    """Once it is there: the log draws only what can be seen, and a moment after somebody scrolled."""
    return float(page.locator(selector).evaluate("part => part.getBoundingClientRect().top"))


# --- a build -------------------------------------------------------------------------------


def test_a_build_page_shows_its_build_run_and_end_and_so_does_its_tab(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    page = opened(reader, path_of(build))
    icon = page.locator("link[rel=icon]").get_attribute("href") or ""

    offer = work.take(build)
    work.agent.report(offer["id"], "in_progress")
    expect(page.locator("#build-head .pill")).to_contain_text("Running")
    work.agent.finish(offer)
    expect(page.locator("#build-head .pill")).to_contain_text("Passed")

    expect(page).to_have_title(re.compile("^✓"))
    expect(page.locator("link[rel=icon]")).not_to_have_attribute("href", icon)
    assert page.evaluate(REMEMBERED) == "before"
    assert reader.said == []
    assert complaints(page) == []


def test_the_focus_and_what_was_unfolded_stay(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    page = opened(reader, path_of(build))
    link = page.locator("#build .steps [data-item]").first
    link.focus()

    work.agent.report(work.take(build)["id"], "in_progress")
    expect(page.locator("#build .steps")).to_contain_text("Running")

    expect(link).to_be_focused()


def test_a_selection_is_left_alone_until_it_is_given_up(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    page = opened(reader, path_of(build))
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#build-head h1'))")

    work.agent.report(work.take(build)["id"], "in_progress")
    expect(page.locator("#live-sign")).to_contain_text("Waiting for you")
    expect(page.locator("#build .steps")).to_contain_text("Running")
    assert page.evaluate("getSelection().toString().trim()") == build.label
    assert "Running" not in page.locator("#build-head .pill").inner_text()

    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator("#build-head .pill")).to_contain_text("Running")
    expect(page.locator("#live-sign")).to_contain_text("Live")


def test_an_open_dialog_is_not_touched(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    page = opened(reader, path_of(build))
    page.get_by_role("link", name="Cancel").or_(page.get_by_role("button", name="Cancel")).first.click()
    expect(page.locator("#cancel-build")).to_be_visible()

    work.cancel(build)
    expect(page.locator("#live-sign")).to_contain_text("Waiting for you")
    expect(page.locator("#cancel-build")).to_be_visible()

    page.keyboard.press("Escape")
    expect(page.locator("#build-head .pill")).to_contain_text("Aborted")


# --- lists ---------------------------------------------------------------------------------


@pytest.fixture
def crowded(work: Work) -> list[Build]:
    """Builds of one project, more than a screen shows, oldest first."""
    first = work.ask_for_build()
    return [first, *(work.ask_for_build(first.project.slug) for _ in range(40))]


def test_a_new_build_appears_at_the_top_of_a_list(reader: Reader, work: Work) -> None:
    first = work.ask_for_build()
    page = opened(reader, f"/projects/{first.project.slug}/")

    second = work.ask_for_build(first.project.slug)

    expect(page.locator("tr[data-row]").first).to_contain_text(f"#{second.number} ")


def test_new_builds_above_what_is_read_wait_behind_a_pill(
    reader: Reader, work: Work, crowded: list[Build]
) -> None:
    project = crowded[0].project.slug
    page = opened(reader, f"/projects/{project}/")
    read = f"tr[id$='{crowded[20].id.hex}']"
    page.locator(read).scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 300)")
    before = top_of(page, read)

    newest = [work.ask_for_build(project) for _ in range(2)]
    expect(page.locator("#live-pill")).to_have_text("2 new builds")
    work.cancel(crowded[20])
    expect(page.locator(read)).to_contain_text("Aborted")
    assert abs(top_of(page, read) - before) < 1

    page.locator("#live-pill").click()
    expect(page.locator("tr[data-row]").first).to_contain_text(f"#{newest[-1].number} ")
    expect(page.locator("tr[data-row] [data-item]").first).to_be_focused()
    expect(page.locator("#live-pill")).to_have_count(0)


def test_what_grows_above_does_not_push_away_what_is_read(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    offer = work.take(build)
    page = opened(reader, path_of(build))
    page.set_viewport_size({"width": 1000, "height": 260})
    read = "#build .steps"
    page.locator(read).scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 60)")
    before = top_of(page, read)
    assert page.evaluate("scrollY") > 0

    work.agent.report(offer["id"], "in_progress")
    work.agent.finish(offer, return_code=1)
    expect(page.locator("#build")).to_contain_text("Why it is not green")

    assert abs(top_of(page, read) - before) < 2


# --- a log ---------------------------------------------------------------------------------


class Printing:
    def __init__(self, work: Work) -> None:
        self.work, self.build = work, work.ask_for_build()
        self.offer = work.take(self.build)
        self.size = 0
        work.agent.report(self.offer["id"], "in_progress")

    @property
    def path(self) -> str:
        return f"/steps/{self.offer['id']}/"

    def says(self, words: str) -> None:
        data = words.encode()
        assert self.work.agent.append(self.offer["id"], self.size, data).status_code == 200
        self.size += len(data)


@pytest.fixture
def printing(work: Work) -> Printing:
    return Printing(work)


def lines(first: int, count: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, first + count))


def is_at_end(page: Page) -> bool:
    return bool(
        page.evaluate(
            "selector => (box => box.scrollHeight - box.scrollTop - box.clientHeight < 2)"
            "(document.querySelector(selector))",
            BOX,
        )
    )


def test_a_log_appears_with_its_first_line_and_grows_where_the_reader_is_at_its_end(
    reader: Reader, printing: Printing
) -> None:
    page = opened(reader, printing.path)
    expect(page.locator("#log")).to_contain_text("Nothing was printed yet")

    printing.says("the first li")
    expect(page.locator("#log")).to_contain_text("the first li")
    printing.says("ne <b>\n")
    expect(page.locator("#L1 .log-text")).to_have_text("the first line <b>")
    printing.says(lines(2, 199))

    expect(page.locator("#L200 .log-text")).to_have_text("line 200")
    wait_until(lambda: is_at_end(page))
    assert page.evaluate(REMEMBERED) == "before"
    assert reader.said == []


def test_a_reader_further_up_is_told_of_new_lines_and_not_moved(reader: Reader, printing: Printing) -> None:
    printing.says(lines(1, 100))
    page = opened(reader, printing.path)
    wait_until(lambda: is_at_end(page))
    page.evaluate(f"document.querySelector('{BOX}').scrollTop = 100")
    before = top_of(page, "#L10")

    printing.says(lines(101, 12))
    pill = page.locator("[data-do=end]")
    expect(pill).to_have_text("12 new lines")
    assert abs(top_of(page, "#L10") - before) < 1
    assert complaints(page, "#log") == []

    pill.click()
    expect(pill).to_have_count(0)
    wait_until(lambda: is_at_end(page))
    printing.says(lines(113, 1))
    expect(page.locator("#L113")).to_be_in_viewport()


def test_a_long_log_keeps_the_page_small_and_all_of_it_can_be_read(
    reader: Reader, printing: Printing
) -> None:
    printing.says("first\n")
    page = opened(reader, printing.path)

    for number in range(4):
        printing.says(lines(2 + number * 1500, 1500))
        expect(page.locator(f"#L{1 + (number + 1) * 1500}")).to_be_attached()

    assert page.locator(f"{BOX} li").count() < 400
    expect(page.locator("#L6001 .log-text")).to_have_text("line 6001")
    page.evaluate(f"document.querySelector('{BOX}').scrollTop = 60_000")
    expect(page.locator("#L3001 .log-text")).to_have_text("line 3001")


def test_a_log_ends_with_the_verdict(reader: Reader, printing: Printing) -> None:
    printing.says(lines(1, 300))
    page = opened(reader, printing.path)
    page.evaluate(f"document.querySelector('{BOX}').scrollTop = 100")
    before = top_of(page, "#L10")

    printing.says("the end\n")
    printing.work.agent.finish(printing.offer)

    expect(page.locator("#step-head .pill")).to_contain_text("Passed")
    expect(page.locator("#log .log-verdict")).to_contain_text("Passed")
    assert abs(top_of(page, "#L10") - before) < 1
    page.locator("[data-do=end]").click()
    expect(page.locator("#L301 .log-text")).to_have_text("the end")
    expect(page.locator("[data-do=follow]")).to_have_count(0)


# --- being away ----------------------------------------------------------------------------


def test_a_hidden_tab_holds_no_connection_and_catches_up_when_it_is_looked_at(
    reader: Reader, printing: Printing
) -> None:
    printing.says("one\n")
    page = opened(reader, printing.path)
    asked: list[str] = []

    with page.expect_event("requestfailed", lambda request: "/live" in request.url):
        page.evaluate("away(true)")
    page.on("request", lambda request: asked.append(request.url))
    printing.says("two\n")
    printing.work.agent.finish(printing.offer)
    wait_until(lambda: connections_in_use(printing.work.site.database) == 0)
    assert asked == []
    assert page.locator("#L2").count() == 0

    page.evaluate("away(false)")
    expect(page.locator("#L2")).to_be_visible()
    expect(page.locator("#step-head .pill")).to_contain_text("Passed")
    assert page.evaluate(REMEMBERED) == "before"


def test_who_is_signed_out_is_told_and_asks_no_more(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    page = opened(reader, path_of(build))
    with work.site.database.transaction() as session:
        session.execute(text("delete from web_session"))

    work.cancel(build)

    sign = page.locator("#live-sign")
    expect(sign).to_contain_text("Signed out")
    expect(sign.get_by_role("link", name="Sign in")).to_have_attribute(
        "href", f"/auth/login/?next={path_of(build).replace('/', '%2F')}"
    )


def test_a_page_of_an_older_version_asks_to_be_loaded_again(reader: Reader, work: Work) -> None:
    build = work.ask_for_build()
    page = opened(reader, path_of(build))

    def upgraded(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("changes.js?v=", "changes.js?v=new"))

    page.route(f"**{path_of(build)}", upgraded)
    work.cancel(build)

    expect(page.locator("#live-sign")).to_contain_text("New version")


# --- a server that goes away ---------------------------------------------------------------


@contextmanager
def serving(port: int) -> Iterator[Server]:
    """As the web process does, with the same way to end."""
    app = server.create_app()
    program = Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=5), app)
    thread = threading.Thread(target=program.run)
    thread.start()
    try:
        wait_until(lambda: program.started)
        yield program
    finally:
        program.handle_exit(signal.SIGTERM, None)
        thread.join()


def test_after_a_restart_of_the_server_the_page_catches_up_without_a_reload(
    reader: Reader, work: Work
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    build = work.ask_for_build()
    cookie = work.site.session_cookie() | {"url": f"http://127.0.0.1:{port}"}
    reader.context.add_cookies([cookie])  # type: ignore[list-item]
    reader.url = f"http://127.0.0.1:{port}"
    with serving(port):
        page = opened(reader, path_of(build))
    expect(page.locator("#live-sign")).to_contain_text("Reconnecting")
    work.cancel(build)

    with serving(port):
        expect(page.locator("#build-head .pill")).to_contain_text("Aborted", timeout=120_000)
        expect(page.locator("#live-sign")).to_contain_text("Live")
        assert page.evaluate(REMEMBERED) == "before"
        page.close()
