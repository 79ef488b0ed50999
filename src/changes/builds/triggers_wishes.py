"""What a project asks for: by its options, and by `<slug>.yaml` of the original in its repository."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from changes.base.errors import Invalid
from changes.builds import original_file
from changes.builds.triggers_rules import Wishes
from changes.projects import config, config_original, options, queries
from changes.projects.config_original import OriginalConfig
from changes.projects.models import Project, Source
from changes.projects.plan_options import lines_in


@dataclass(frozen=True)
class ProjectWishes:
    """`problem` says why the file of the original cannot be read: then nothing of it counts."""

    rules: Wishes
    problem: str = ""


def of_options(session: Session, project: Project) -> ProjectWishes:
    said = options.with_defaults(queries.options(session, project))
    return ProjectWishes(of_values(said, project.slug))


def of_values(said: Mapping[str, str], slug: str, file: OriginalConfig = config_original.NOTHING) -> Wishes:
    minutes = int(said[options.PAUSE_MIN]) if said[options.PAUSE_MIN].isdecimal() else 0
    name = config_original.file_name(slug)
    is_longer = file.pause_min > minutes
    return Wishes(
        branches=tuple(said[options.BRANCHES].split()) or ("*",),
        builds_commits=said[options.COMMIT_TRIGGER] == "1",
        builds_diffs=said[options.DIFF_TRIGGER] == "1",
        files=tuple(lines_in(said[options.FILES])),
        ignored_files=(*lines_in(said[options.IGNORED_FILES]), *file.ignored_files),
        pause_min=max(minutes, file.pause_min),
        pause_from=name if is_longer else options.PAUSE_MIN,
        config_files=(config.FILE_NAME, name),
    )


def of_source(session: Session, project: Project, source: Source) -> ProjectWishes:
    """With the file as it is at this revision, the patch applied."""
    said = options.with_defaults(queries.options(session, project))
    try:
        file = config_original.read(original_file.text_of(session, project, source), project.slug)
    except Invalid as error:
        return ProjectWishes(of_values(said, project.slug), error.message)
    return ProjectWishes(of_values(said, project.slug, file))
