"""Lets go of what single steps reported once nobody is going to do them again: what was put together stays.

It is many times what the build keeps. Should one of them be done again after all, its new report is put to
what is there.
"""

from sqlalchemy.orm import Session

from changes.base import questions

KEPT_DAYS = 14
BUILDS_AT_ONCE = 500
FOLD = """
with old as (
    select build_id from build_coverage
    where not is_folded and date_merged < now() - make_interval(days => %(days)s) and report_count > 0
    order by date_merged limit %(most)s for update skip locked
), gone as (
    delete from step_coverage_pack pack using step_coverage step, old
    where step.step_id = pack.step_id and step.build_id = old.build_id
)
update build_coverage coverage set is_folded = true from old where old.build_id = coverage.build_id
returning coverage.build_id
"""


def clean(session: Session) -> int:
    """How many builds it was."""
    return len(questions.ask(session, FOLD, {"days": KEPT_DAYS, "most": BUILDS_AT_ONCE}))
