"""Puts the questions about rows, and turns what is found into findings."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from changes.app.doctor import looking, questions, queue, sums, work_sums
from changes.app.doctor.findings import COUNTED_MAX, Finding, counted, ok, warning
from changes.app.doctor.looking import NotKnown
from changes.app.doctor.questions import Question
from changes.base import bell, clock, ids
from changes.base.settings import Settings
from changes.results import run_numbers, statistics
from changes.results.figures.counting import midnight
from changes.results.figures.models import ALL_PROJECTS

# As builds/hearing.py asks: silence while no web server ran is nobody's.
COULD_HEAR = (
    "select coalesce(min(backend_start) < now() - make_interval(secs => :for_s), false)"
    " from pg_stat_activity where datname = current_database() and application_name = :name"
)
# Days after them are counted once and for all.
WEEK_DAYS = 6
LATER = "Ask again when the database is less busy, or of the right schema."


def check(connection: Connection, settings: Settings) -> list[Finding]:
    values = values_of(connection, settings)
    asked = [
        put(connection, question, values) for question in (*questions.ALL, *queue.QUEUE, *work_sums.QUESTIONS)
    ]
    try:
        return [*asked, *sums.check(connection)]
    except NotKnown as error:
        return [*asked, warning("verdicts-follow-parts", f"Not known: {error}", LATER)]


def values_of(connection: Connection, settings: Settings) -> dict[str, Any]:
    silence_s = settings.node_silence_max_s
    week_begin = midnight(clock.now().date() - timedelta(days=WEEK_DAYS))
    heard = {"for_s": silence_s + 60, "name": bell.APPLICATION_NAME}
    return {
        "limit": COUNTED_MAX + 1,
        "newest": questions.NEWEST,
        "merged": list(statistics.MERGED),
        "batch_mask": run_numbers.BATCH_MASK,
        "silence_s": silence_s,
        "outside_min": settings.outside_silence_max_min,
        "week_begin": week_begin,
        # An id is made a moment before its row.
        "week_id": ids.least_at(week_begin - timedelta(days=1)),
        "all_projects": ALL_PROJECTS,
        "could_hear": looking.value(connection, COULD_HEAR, heard),
    }


def put(connection: Connection, question: Question, values: dict[str, Any]) -> Finding:
    asked = {name: value for name, value in values.items() if f":{name}" in question.ask}
    try:
        wrong = looking.names(connection, question.ask, asked)
    except NotKnown as error:
        return warning(question.name, f"{question.promise}: not known, {error}", LATER)
    if not wrong:
        return ok(question.name, question.promise)
    return Finding(
        question.name,
        question.state,
        f"{question.promise}; {counted(wrong)}",
        question.advice,
        tuple(wrong[:COUNTED_MAX]),
        question.can_be_mended,
    )
