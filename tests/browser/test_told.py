"""Cards and lines of logs of other people before a real browser: shown, and harmless whatever is in them."""

import pytest
from playwright.sync_api import expect
from tests import factories
from tests.browser.conftest import PHONE, NewReader, Site, complaints, hidden_beyond_the_edge
from tests.builds import agents
from tests.results import log_texts

from changes.builds.rules import Result, Status
from changes.results import cards, log_errors, log_scan, logs
from changes.results.cards import STYLES, CardSaid

pytestmark = [pytest.mark.system, pytest.mark.front_end]

LOG = b"""make
src/a.c:3:5: error: <img src=x onerror="document.title='broken into'"> \xe2\x80\xae gpj.exe \x1b]0;title\x07
make: *** [Makefile:3: a.o] Error 1
"""
CARD = """# One <script>document.title = "broken into"</script>

<img src=x onerror="document.title='broken into'"> <iframe src="//127.0.0.1:9/"></iframe>

[a link](javascript:document.title='broken_into') [another](data:text/html,<script>1</script>) \u202e gpj.exe

![shot](http://127.0.0.1:9/spy.png) <javascript:document.title=1> [ok](https://example.com/"onmouseover="x)

| Wide | table |
|:--|--:|
| `{wide}` | 1 |

```
{wide}
```
""".replace("{wide}", "wide" * 60)


@pytest.fixture
def path(site: Site) -> str:
    """Of a build with a card of each style, and a line in its log."""
    with site.database.transaction() as session:
        step = agents.a_taken_step(session, factories.a_build(session))
        log_texts.add(session, log_texts.an_empty_log(session, step), LOG, log_texts.PLAIN)
        build = step.job.build
        for whole in (step, step.job, build):
            whole.status, whole.result = Status.FINISHED, Result.FAILED
        session.flush()
        [source] = logs.sources_of_steps(session, [step.id])[step.id]
        log_errors.store(session, build, [log_errors.look(session, source, log_scan.engine())])
        for style in STYLES:
            cards.post(session, step, CardSaid(style, CARD, style, f"A <b>{style}</b> card"))
        return f"/projects/{build.project.slug}/builds/{build.number}/"


def test_nothing_of_a_card_or_a_log_runs_or_asks_anybody(new_reader: NewReader, path: str) -> None:
    reader = new_reader()
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))

    page = reader.opens_live(path)

    expect(page.locator(".posted")).to_have_count(len(STYLES))
    assert "broken" not in page.title()
    assert [url for url in asked if not url.startswith((reader.url, "data:"))] == []
    assert page.locator(".markdown script, .markdown iframe, .markdown img, .wrong img").count() == 0
    hrefs = page.locator(".markdown a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert {href.partition(":")[0] for href in hrefs} == {"https"}
    assert reader.said == []


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark", "viewport": PHONE}])
def test_what_a_build_tells_reads_well(new_reader: NewReader, path: str, options: dict[str, object]) -> None:
    page = new_reader(**options).opens(path)

    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0
    expect(page.locator(".wrong .log-wrong")).to_contain_text("src/a.c:3:5: error:")


def test_a_line_leads_to_its_place_in_the_log(new_reader: NewReader, path: str) -> None:
    page = new_reader().opens_live(path)

    page.get_by_role("link", name="line 2", exact=True).click()

    expect(page.locator("#L2")).to_contain_text("error:")
