"""Which part plays which role, and who listens to which event."""

from changes.base import events
from changes.builds import collectors
from changes.builds import tasks as build_tasks
from changes.builds.events import BuildFinished
from changes.projects import tasks as project_tasks
from changes.results import tasks as result_tasks
from changes.results.collector import ArtifactCollector

# A worker knows the tasks of these; without the import it would know only those it also asks for.
TASK_MODULES = (build_tasks, project_tasks, result_tasks)


def introduce() -> None:
    collectors.collector.set(ArtifactCollector())
    events.listeners.clear()
    events.listen(BuildFinished, build_tasks.update_averages)
