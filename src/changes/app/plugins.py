"""Which part plays which role, and who listens to which event."""

from changes.base import events, outbox
from changes.builds import collectors, history, log_search, triggers_after, triggers_commits
from changes.builds import tasks as build_tasks
from changes.builds.events import BuildFinished, RevisionResultUpdated, StepFailed
from changes.integrations.analytics import sending
from changes.integrations.green_builds import notice
from changes.projects import tasks as project_tasks
from changes.projects.events import RevisionsSeen
from changes.results import tasks as result_tasks
from changes.results.collector import ArtifactCollector
from changes.results.coverage import tasks as coverage_tasks
from changes.results.durations import StoredDurations
from changes.results.events import AnalyticsKept
from changes.results.log_search import LogTails

# A worker knows the tasks of these; without the import it would know only those it also asks for.
TASK_MODULES = (build_tasks, triggers_commits, triggers_after, project_tasks, result_tasks, coverage_tasks)


def introduce() -> None:
    collectors.collector.set(ArtifactCollector())
    history.history.set(StoredDurations())
    log_search.search.set(LogTails())
    outbox.install()
    events.forget_listeners()
    events.listen_together(BuildFinished, build_tasks.after_builds)
    events.listen_together(BuildFinished, triggers_after.note_green)
    events.listen_together(BuildFinished, result_tasks.after_builds)
    events.listen_together(BuildFinished, coverage_tasks.after_builds)
    events.listen_together(StepFailed, result_tasks.after_failures)
    events.listen(RevisionsSeen, triggers_commits.consider_revisions)
    events.listen(RevisionsSeen, project_tasks.link_landed)
    events.listen(RevisionResultUpdated, build_tasks.note_green)
    events.listen(RevisionResultUpdated, notice.tell)
    events.listen(AnalyticsKept, sending.send)
