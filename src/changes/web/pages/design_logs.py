"""A log that nobody printed, for the living page of the design."""

from changes.base import ids
from changes.builds.models import JobStep
from changes.builds.rules import Status
from changes.results import log_finding
from changes.results.log_reading import Line
from changes.results.models import LogSource
from changes.web.pages import log_rows
from changes.web.pages.log_rows import Manner
from changes.web.pages.log_viewer import Log, Streams, Viewer
from changes.web.pages.logview import Search, Shown, Sought, Taste

BEGAN_MS = 1_763_726_400_000
LINES = [
    "$ pytest -q tests/payments",
    "::group::Install",
    "Resolved \x1b[1m48 packages\x1b[0m in 12ms",
    "::endgroup::",
    "\x1b[32m........................................\x1b[0m [ 61%]",
    "\x1b[31mE   AssertionError\x1b[0m: assert -12.50 == 12.50",
    "tests/payments/test_refund.py:88: \x1b[38;5;208mAssertionError\x1b[0m",
    "pay\u202e0521\u202c to the order of \udcff\udcfe",
    "[4,194,304 bytes were left out here.]",
    "\x1b[97;41m FAIL \x1b[0m 1 failed, 92 passed in 14.21s",
]
WRONG = 5
SOUGHT = Sought(q="assert")


def viewer(first: int) -> Viewer:
    """Its lines have numbers from `first` on, because a page has each only once."""
    said = [text.encode("utf-8", "surrogateescape") for text in LINES]
    lines = [Line(first + at, 0, text, len(text), BEGAN_MS + at * at * 470) for at, text in enumerate(said)]
    sought = log_finding.compiled(SOUGHT.wanted)
    manner = Manner({"pytest -q tests/payments"}, BEGAN_MS, "start", {first + WRONG}, sought)
    rows = log_rows.rows(lines, first, first + len(lines), manner)
    source = LogSource(id=ids.new(), name="console", size_bytes=41_288, date_removed=None)
    log = Log(source, JobStep(id=ids.new(), status=Status.FINISHED, date_started=None), ())
    tabs = [("console", "console", "#logs"), ("infra", "infra", "#logs")]
    return Viewer(
        log,
        "#",
        Shown(rows, first + len(lines), source.size_bytes),
        Search(SOUGHT, [rows[WRONG]], first + WRONG, is_complete=False),
        Taste(times="start"),
        Streams(tabs, "console"),
        (first + WRONG,),
    )
