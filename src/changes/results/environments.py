"""Where in its plan a test ran: steps that another one named are surroundings of their own, as one for each
version of a language. Shards are none, for the same test is now in the one and now in the other.
"""

from sqlalchemy import ColumnElement, case, or_

from changes.builds.models import JobStep

# Beside a step that another one named, what it runs a part of.
NAMED, PARTS = "expanded", ("tests", "targets")
OF_STEP = """
case when step.data ? 'expanded' and not step.data ?| array['tests', 'targets'] then step.label else '' end
"""


def of_step() -> ColumnElement[str]:
    """The same for questions that are not written as text. Empty where the plan says it all."""
    is_part = or_(*(JobStep.data.has_key(name) for name in PARTS))
    return case((JobStep.data.has_key(NAMED) & ~is_part, JobStep.label), else_="")
