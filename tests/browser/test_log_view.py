"""The viewer of logs before a log of a million lines: little of it is on the page, all of it can be read."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import PHONE, NewReader, Reader, Site, complaints, hidden_beyond_the_edge
from tests.factories import a_build, a_project, steps_of
from tests.finished import end_step, print_to
from tests.web.conftest import wait_until

from changes.builds.rules import Result

pytestmark = [pytest.mark.system, pytest.mark.front_end]

MILLION = 1_000_000
ROWS_MAX = 400
BOX = ".log-viewer .log-lines"
IN_SIGHT = """
box => {
  const edge = box.getBoundingClientRect();
  const rows = [...box.querySelectorAll("li")].map((row) => [row, row.getBoundingClientRect()]);
  return rows.filter(([, at]) => at.top >= edge.top - 1 && at.bottom <= edge.bottom + 1)
    .map(([row]) => [Number(row.id.slice(1)), row.querySelector(".log-text").textContent]);
}
"""
HOSTILE = b"".join(
    [
        b"<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\n",
        b"\x1b]8;;javascript:window.hacked=3\x1b\\a link\x1b]8;;\x1b\\ \x1b]0;a title\x07\n",
        b"\x1b[2J\x1b[10A\x1b[31mred \x1b[48;2;1;2;3;38;5;200mpink\x1b[0m\n",
        "access for \u202eresu\u202c and zero\u200bwidth\n".encode(),
        b"caf\xe9 \xff\xfe\xfd and \0\0\0\n",
        b"::group::<b onclick='window.hacked = 4'>bold</b>\nwithin\n::endgroup::\n",
        b"x" * 1_000_000 + b"\n",
        b"10 %\r50 %\r100 %\r\n",
        b"the end\n",
        b"\x1b]52;c;ZXZpbA==\x07\x1bP0;1|17/ab\x1b\\\x1b_Gf=24;AAAA\x1b\\\x1b[?1049h\x1bcsafe\n",
        ("Z" + "\u0301" * 400 + " a\u034fb\U000e0100c\n").encode(),
    ]
)


def a_million_lines() -> bytes:
    """Each says its number; some are needles, and the first hundred thousand are in groups."""
    lines = [b"line %d\n" % number for number in range(1, MILLION + 1)]
    for number in range(77_777, MILLION, 100_000):
        lines[number - 1] = b"\x1b[31mneedle\x1b[0m %d\n" % number
    for number in range(1000, 100_000, 1000):
        lines[number - 1] = b"::group::Part %d\n" % number
        lines[number + 499] = b"::endgroup::\n"
    return b"".join(lines)


def printed(site: Site, data: bytes, chunk: int = 1024 * 1024) -> str:
    """The path of a step that ended, and what it printed."""
    with site.database.transaction() as session:
        [step] = steps_of(session, a_build(session, a_project(session)))
        print_to(session, step, data, chunk=chunk)
        end_step(session, step, Result.FAILED)
        return f"/steps/{step.id.hex}/"


@pytest.fixture(scope="module")
def kept() -> dict[str, str]:
    """What an earlier test of this file has made."""
    return {}


@pytest.fixture
def large(kept: dict[str, str], site: Site) -> str:
    if "large" not in kept:
        kept["large"] = printed(site, a_million_lines())
    return kept["large"]


@pytest.fixture
def reader(new_reader: NewReader) -> Iterator[Reader]:
    reader = new_reader()
    reader.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield reader
    assert reader.said == []


def opened(reader: Reader, path: str) -> Page:
    page = reader.opens_live(path)
    page.wait_for_selector(".log-viewer[data-ready]")
    return page


def in_sight(page: Page) -> list[tuple[int, str]]:
    return [(number, text) for number, text in page.locator(BOX).evaluate(IN_SIGHT)]


def shows(page: Page, line: int) -> None:
    """This line, with its neighbours, and what each of them says."""

    def is_shown() -> bool:
        seen = in_sight(page)
        texts = [text for number, text in seen if text == f"line {number}"]
        return line in [number for number, _ in seen] and len(texts) >= len(seen) - 2 > 0

    wait_until(is_shown)


def rows_on(page: Page) -> int:
    return page.locator(f"{BOX} li").count()


def height_of(page: Page, selector: str) -> float:
    return float(page.locator(selector).evaluate("row => row.getBoundingClientRect().height"))


def scroll_to(page: Page, part: float) -> None:
    page.locator(BOX).evaluate(
        "(box, part) => { box.scrollTop = (box.scrollHeight - box.clientHeight) * part; }", part
    )


# --- a million lines -----------------------------------------------------------------------


def test_the_end_of_a_million_lines_is_there_at_once_and_little_is_on_the_page(
    reader: Reader, large: str
) -> None:
    page = opened(reader, large)

    expect(page.locator(f"#L{MILLION} .log-text")).to_have_text(f"line {MILLION}")
    shows(page, MILLION)
    assert rows_on(page) < ROWS_MAX
    assert page.locator("*").count() < 3000


def test_the_scrollbar_stands_for_the_whole_log(reader: Reader, large: str) -> None:
    page = opened(reader, large)

    scroll_to(page, 0)
    shows(page, 1)
    scroll_to(page, 0.5)
    wait_until(lambda: any(400_000 < number < 600_000 for number, _ in in_sight(page)))
    middle = in_sight(page)[0][0] + 3
    shows(page, middle)
    scroll_to(page, 1)
    shows(page, MILLION)

    assert rows_on(page) < ROWS_MAX


@pytest.mark.long
def test_small_steps_are_small_however_long_the_log_is(reader: Reader, large: str) -> None:
    page = opened(reader, f"{large}#L500000")
    shows(page, 500_000)
    before = in_sight(page)[0][0]

    page.locator(BOX).hover()
    page.mouse.wheel(0, 200)

    wait_until(lambda: in_sight(page)[0][0] != before)
    wait_until(lambda: in_sight(page)[0][0] - before == 10)
    shows(page, before + 15)


def test_an_address_leads_to_marked_lines_which_can_be_copied_as_they_are(reader: Reader, large: str) -> None:
    page = opened(reader, f"{large}#L500001-L500002")
    shows(page, 500_001)
    expect(page.locator(".log-marked")).to_have_count(2)

    page.locator("#L500004 > a").click(modifiers=["Shift"])
    expect(page.locator(".log-marked")).to_have_count(4)
    assert page.url.endswith("#L500001-L500004")
    page.keyboard.press("y")
    expect(page.locator("#toasts")).to_contain_text("copied")

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [f"line {number}" for number in range(500_001, 500_005)]


def test_what_is_looked_for_is_found_in_all_of_it_and_jumped_along(reader: Reader, large: str) -> None:
    page = opened(reader, large)

    page.keyboard.press("/")
    page.keyboard.type("NEEDLE")
    page.keyboard.press("Enter")
    expect(page.locator(".log-found-head")).to_contain_text("10 lines")
    expect(page.locator(".log-count")).to_have_text("10 hits")
    page.keyboard.press("Tab")
    page.locator(".log-hits a", has_text="577,777").click()
    expect(page.locator("#L577777 .log-match")).to_have_text("needle")
    page.locator(BOX).focus()
    page.keyboard.press("n")

    expect(page.locator("#L677777 .log-match")).to_have_text("needle")
    expect(page.locator(".log-count")).to_have_text("7 of 10 hits")
    page.keyboard.press("j")
    expect(page.locator(".log-marked")).to_have_attribute("id", "L677777")
    assert complaints(page, "#log") == []
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".log-match")).to_have_count(0)
    expect(page.locator("#L677777")).to_be_in_viewport()


@pytest.mark.long
def test_groups_are_folded_and_stay_as_the_reader_left_them(reader: Reader, large: str) -> None:
    page = opened(reader, large)
    page.keyboard.press("g")
    page.keyboard.press("g")
    page.locator(BOX).focus()
    scroll_to(page, 0)
    shows(page, 1)

    page.evaluate("location.hash = '#L999'")
    fold = page.locator("#L1000 .log-fold")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#L1502")).to_be_attached()
    expect(page.locator("#L1001")).to_have_count(0)
    fold.click()
    expect(page.locator("#L1001 .log-text")).to_have_text("line 1001")
    page.reload()

    expect(page.locator("#L1000 .log-fold")).to_have_attribute("aria-expanded", "true")
    page.evaluate("location.hash = '#L2100'")
    shows(page, 2100)


def test_the_title_of_a_group_is_there_before_its_line(reader: Reader, large: str) -> None:
    page = opened(reader, large)
    expect(page.locator(".log-outline button").first).to_be_attached()

    # Nobody answers.
    page.route("**/lines/**", lambda _route: None)
    page.evaluate("location.hash = '#L50999'")

    expect(page.locator("#L51000 .log-text")).to_have_text("Part 51000")
    expect(page.locator("#L50999")).to_have_class(re.compile("log-blank"))


@pytest.mark.long
def test_long_lines_are_broken_and_times_shown_as_the_reader_likes(reader: Reader, site: Site) -> None:
    path = printed(site, b"short\n" + b"word " * 300 + b"\n" + b"after\n" * 500)
    page = opened(reader, f"{path}#L2")
    expect(page.locator("#L2")).to_be_in_viewport()
    low = height_of(page, "#L2")

    page.keyboard.press("w")
    wait_until(lambda: height_of(page, "#L2") > 2 * low)
    page.keyboard.press("t")
    expect(page.locator(".log-viewer")).to_have_class(re.compile("log-timed"))
    drawn = reader.context.request.get(f"{reader.url}{path}").text()

    assert "log-wrapped log-timed" in drawn
    page.keyboard.press("G")
    expect(page.locator("#L502")).to_be_in_viewport()
    assert hidden_beyond_the_edge(page) == 0


def test_while_the_server_is_away_the_page_says_so_and_goes_on_later(reader: Reader, large: str) -> None:
    page = opened(reader, large)

    def nobody(route: Route) -> None:
        route.abort("connectionrefused")

    page.route("**/lines/**", nobody)
    page.evaluate("location.hash = '#L300000'")
    expect(page.locator(".log-told")).to_contain_text("The server cannot be reached")
    expect(page.locator("#L300000")).to_be_in_viewport()
    page.unroute("**/lines/**", nobody)
    page.get_by_role("button", name="Ask now").click()

    shows(page, 300_000)
    expect(page.locator(".log-told")).to_be_empty()
    # The browser itself complains of what it could not fetch.
    assert all("ERR_CONNECTION_REFUSED" in each for each in reader.said)
    reader.said.clear()


# --- without script ------------------------------------------------------------------------


def test_without_script_a_long_log_is_read_by_pages(new_reader: NewReader, large: str) -> None:
    page = new_reader(java_script_enabled=False).opens(f"{large}?line=1")

    expect(page.locator("#L1 .log-text")).to_have_text("line 1")
    page.get_by_role("link", name="Lines after").click()
    expect(page.locator("#L501 .log-text")).to_have_text("line 501")
    page.get_by_label("Line", exact=True).fill("700000")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#L700000 .log-text")).to_have_text("line 700000")
    page.get_by_label("Search this log").fill("needle 8")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".log-hits a").last.click()

    expect(page.locator("#L877777 .log-text")).to_have_text("needle 877777")


# --- hostile content -----------------------------------------------------------------------


@pytest.mark.parametrize("screen", [pytest.param("wide", marks=pytest.mark.long), "phone"])
def test_a_hostile_log_is_only_text(new_reader: NewReader, site: Site, screen: str) -> None:
    options: dict[str, Any] = {"viewport": PHONE, "color_scheme": "dark"} if screen == "phone" else {}
    reader = new_reader(**options)
    page = opened(reader, f"{printed(site, HOSTILE)}#L1")

    expect(page.locator("#L6 .log-fold")).to_be_attached()
    page.keyboard.press("}")
    expect(page.locator("#L1 .log-text")).to_have_text(HOSTILE.split(b"\n")[0].decode())
    expect(page.locator("#L2 .log-text")).to_have_text("a link ")
    expect(page.locator("#L4 .code-unseen")).to_have_text(["U+202E", "U+202C", "U+200B"])
    expect(page.locator("#L5 .code-unseen")).to_have_text([r"\xe9", r"\xff\xfe\xfd", "NUL, 3 times"])
    expect(page.locator("#L6 .log-text")).to_have_text("<b onclick='window.hacked = 4'>bold</b>")
    expect(page.locator("#L9 a.code-unseen")).to_have_text("998,000 more bytes")
    expect(page.locator("#L10 .log-text")).to_have_text("100 %")
    expect(page.locator("#L12 .log-text")).to_have_text("safe")
    expect(page.locator("#L13 .code-unseen")).to_have_text(["U+034F", "U+E0100"])
    # What towers above its line does not cover those beside it.
    expect(page.locator("#L13")).to_have_css("overflow-y", "clip")
    assert height_of(page, "#L13") == height_of(page, "#L12")

    assert page.evaluate("window.hacked") is None
    assert page.locator(".log-viewer :is(script, img)").count() == 0
    assert reader.said == []
    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0


@pytest.mark.long
def test_what_is_selected_is_copied_without_numbers_and_with_what_is_not_seen(
    reader: Reader, site: Site
) -> None:
    page = opened(reader, f"{printed(site, HOSTILE)}#L4")
    expect(page.locator("#L5 .log-text")).to_be_attached()

    page.evaluate(
        "([from, to]) => getSelection().setBaseAndExtent("
        "document.querySelector(from), 0, document.querySelector(to), 1)",
        ["#L4", "#L5 .log-text"],
    )
    page.keyboard.press("Control+c")

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "access for \u202eresu\u202c and zero\u200bwidth\ncaf"
