from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.results import log_texts

from changes.base import events, ids
from changes.builds import cancel, settle
from changes.builds.events import StepFailed
from changes.builds.models import Build, JobPlan, JobStep
from changes.builds.rules import Result, Status
from changes.projects.models import Project
from changes.results import log_errors, log_scan, logs
from changes.results.log_error_models import LogError, LogErrorInBuild, LogErrorLine, LogLook, Severity

BROKEN = b"make all\nsrc/a.c:3:5: error: no such thing\nmake: *** [Makefile:3: a.o] Error 1\n"
AGAIN = b"make all\nsrc/a.c:99:1: error: no such thing\n"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session)


def failed(session: Session, project: Project, log: bytes = BROKEN, **others: bytes) -> JobStep:
    """A step that ended like this, looked through."""
    step = ended(session, project, log, **others)
    look(session, step)
    return step


def ended(session: Session, project: Project, log: bytes = BROKEN, **others: bytes) -> JobStep:
    step = agents.a_taken_step(session, factories.a_build(session, project))
    for name, text in {"console": log, **others}.items():
        log_texts.add(session, log_texts.an_empty_log(session, step, name), text, log_texts.PLAIN)
    step.status, step.result = Status.FINISHED, Result.FAILED
    session.flush()
    return step


def look(session: Session, step: JobStep) -> None:
    engine = log_scan.engine(log_errors.patterns_of(session, step.job_id))
    sources = logs.sources_of_steps(session, [step.id])[step.id]
    looked = [log_errors.look(session, source, engine) for source in sources]
    log_errors.store(session, build_of(session, step), looked)


def build_of(session: Session, step: JobStep) -> Build:
    return session.get_one(Build, step.job.build_id)


def errors(session: Session, step: JobStep) -> list[log_errors.ErrorLine]:
    sources = logs.sources_of_steps(session, [step.id])[step.id]
    return [line for source in sources for line in log_errors.errors_of(session, source.id)]


def known(session: Session, project: Project) -> list[tuple[str, int]]:
    found = select(LogError).where(LogError.project_id == project.id).order_by(LogError.id)
    return [(each.text, each.builds) for each in session.execute(found).scalars()]


def test_lines_are_kept_with_their_place_and_what_knew_them(session: Session, project: Project) -> None:
    first, second = errors(session, failed(session, project))

    assert (first.line, first.text, first.pattern) == (2, "src/a.c:3:5: error: no such thing", "compiler")
    assert (second.line, second.pattern, second.severity) == (3, "make", Severity.ERROR)


def test_a_line_that_differs_only_in_numbers_is_known_from_other_builds(
    session: Session, project: Project
) -> None:
    first = failed(session, project)
    second = failed(session, project, AGAIN)

    error = session.execute(select(LogError).order_by(LogError.id)).scalars().first()
    assert error is not None
    assert known(session, project)[0] == ("src/a.c:3:5: error: no such thing", 2)
    assert (error.first_build_id, error.last_build_id) == (first.job.build_id, second.job.build_id)


def test_looking_once_more_changes_nothing(session: Session, project: Project) -> None:
    step = failed(session, project)
    before = errors(session, step), known(session, project)

    look(session, step)

    assert (errors(session, step), known(session, project)) == before
    assert session.execute(select(LogErrorInBuild.lines)).scalars().all() == [1, 1]


def test_two_steps_of_one_build_that_say_the_same_are_one_build(session: Session, project: Project) -> None:
    first, second = factories.steps_of(session, factories.a_build(session, project, plans=2))
    for step in (first, second):
        log_texts.add(session, log_texts.an_empty_log(session, step), AGAIN, log_texts.PLAIN)
        look(session, step)

    assert known(session, project) == [("src/a.c:99:1: error: no such thing", 1)]
    assert session.execute(select(LogErrorInBuild.lines)).scalars().all() == [2]


def test_another_project_that_says_the_same_knows_nothing_of_it(session: Session, project: Project) -> None:
    failed(session, project)

    failed(session, factories.a_project(session))

    assert [builds for _, builds in known(session, project)] == [1, 1]


def test_all_logs_of_a_step_are_looked_through(session: Session, project: Project) -> None:
    step = failed(session, project, b"all is well\n", infra=b"fatal: no repository\n")

    assert [line.pattern for line in errors(session, step)] == ["git"]


def test_of_all_its_logs_together_a_step_keeps_only_so_many(session: Session, project: Project) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    many = "".join(f"ERROR {a}{b}\n" for a in letters for b in letters).encode()

    step = failed(session, project, many, infra=b"panic: no\n" + many)

    kept = errors(session, step)
    assert len(kept) == log_scan.LINES_KEPT
    assert "panic: no" in [line.text for line in kept]
    found = session.execute(select(LogLook.found)).scalars().all()
    assert sorted(found) == [676, 677]


def test_patterns_of_the_plan_and_of_the_project_are_those_of_when_the_job_was_made(
    session: Session, project: Project
) -> None:
    step = ended(session, project, b"licence gone\nquota gone\nERROR: telemetry\n")
    plan = session.execute(select(JobPlan).where(JobPlan.job_id == step.job_id)).scalar_one()
    terms = {"log_errors": [{"pattern": "^licence", "name": "licence", "severity": "fatal"}]}
    options = {"logs.errors": "error quota: ^quota\nignore: telemetry"}
    plan.data = {**plan.data, "terms": terms, "project_options": options}

    look(session, step)

    assert [(line.pattern, line.severity) for line in errors(session, step)] == [
        ("licence", Severity.FATAL),
        ("quota", Severity.ERROR),
    ]


def test_a_plan_without_a_word_on_it_has_no_patterns_of_its_own(session: Session, project: Project) -> None:
    assert log_errors.patterns_of(session, ended(session, project).job_id) == ()


@pytest.fixture
def heard() -> Iterator[None]:
    events.forget_listeners()
    agents.listen(StepFailed)
    yield
    events.forget_listeners()


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    ("result", "count"),
    [(Result.PASSED, 0), (Result.FAILED, 1), (Result.INFRA_FAILED, 1), (Result.ABORTED, 1)],
)
def test_only_what_did_not_pass_is_looked_through(session: Session, result: Result, count: int) -> None:
    step = agents.a_taken_step(session)
    agents.begin(session, step)

    settle.finish_step(session, settle.lock_step(session, step.id) or step, result)

    assert len(announced(session)) == count


@pytest.mark.usefixtures("heard")
def test_steps_that_end_with_their_build_are_looked_through_where_they_had_begun(session: Session) -> None:
    project = factories.a_project(session)
    build = factories.a_build(session, project, plans=3)
    begun = agents.a_taken_step(session, build)
    agents.begin(session, begun)

    settle.end_build(session, settle.lock_build(session, build.id), Result.INFRA_FAILED)

    assert announced(session) == [str(begun.id)]


@pytest.mark.usefixtures("heard")
def test_steps_that_were_cancelled_with_their_job_may_tell_why_somebody_did(session: Session) -> None:
    step = agents.a_taken_step(session)
    agents.begin(session, step)

    cancel.cancel_job(session, step.job_id)

    assert announced(session) == [str(step.id)]


def announced(session: Session) -> list[str]:
    told = select(events.Outbox.data).where(events.Outbox.type == events.name_of(StepFailed))
    return [data["step_id"] for data in session.execute(told).scalars()]


def test_what_goes_with_its_log_leaves_what_is_known_of_it(session: Session, project: Project) -> None:
    step = failed(session, project)

    for source in logs.sources_of_steps(session, [step.id])[step.id]:
        session.delete(source)
    session.flush()

    assert session.execute(select(LogErrorLine)).all() == []
    assert [builds for _, builds in known(session, project)] == [1, 1]


def test_a_step_that_is_not_there_is_nothing_to_look_through(session: Session) -> None:
    assert session.execute(log_errors.of_step(ids.new())).all() == []
