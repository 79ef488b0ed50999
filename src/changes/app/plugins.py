"""Which part plays which role, and who listens to which event."""

from changes.base import events
from changes.builds import collectors, history, log_search
from changes.builds import tasks as build_tasks
from changes.builds.events import BuildFinished
from changes.projects import tasks as project_tasks
from changes.results import tasks as result_tasks
from changes.results.collector import ArtifactCollector
from changes.results.durations import StoredDurations
from changes.results.log_search import LogTails

# A worker knows the tasks of these; without the import it would know only those it also asks for.
TASK_MODULES = (build_tasks, project_tasks, result_tasks)


def introduce() -> None:
    collectors.collector.set(ArtifactCollector())
    history.history.set(StoredDurations())
    log_search.search.set(LogTails())
    events.forget_listeners()
    events.listen_together(BuildFinished, build_tasks.after_builds)
