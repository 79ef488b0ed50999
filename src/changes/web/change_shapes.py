"""How changes, their versions and what belongs to them look as JSON."""

from changes.base.process import settings
from changes.builds.green_models import LatestGreenBuild, RevisionResult
from changes.builds.models import Build
from changes.people.models import User
from changes.projects.models import Branch, Change, Comment, Project, Repository, Source
from changes.web import shapes
from changes.web.shapes import Json


def change(each: Change, project: Project | None = None, last: Build | None = None) -> Json:
    return {
        "id": each.id.hex,
        "name": each.title,
        "key": each.external_id,
        "provider": each.provider,
        "kind": shapes.enum(each.kind),
        "state": shapes.enum(each.state),
        "project": shapes.project(project) if project else None,
        "repository": {"id": each.repository_id.hex},
        "author": shapes.author(each.author),
        "message": each.message,
        "link": f"{settings.get().base_url}/changes/{each.id.hex}/",
        "external": {"link": each.url, "label": each.external_id} if each.url else None,
        "versions": each.last_source_number,
        "landed": landed(each),
        "dateCreated": shapes.when(each.date_created),
        "dateModified": shapes.when(each.date_modified),
        "lastBuild": brief(last) if last else None,
    }


def landed(each: Change) -> Json | None:
    if each.landed_sha is None:
        return None
    return {"sha": each.landed_sha, "by": each.landed_by or None, "date": shapes.when(each.date_landed)}


def brief(build: Build) -> Json:
    """Without what it was built from: it stands beside that."""
    return {
        "id": build.id.hex,
        "number": build.number,
        "name": build.label,
        "status": shapes.enum(build.status),
        "result": shapes.enum(build.result),
        "dateCreated": shapes.when(build.date_created),
        "dateFinished": shapes.when(build.date_finished),
    }


def version(each: Source) -> Json:
    return {**shapes.source(each), "number": each.number, "change": shapes.hex_or_none(each.change_id)}


def repository(each: Repository) -> Json:
    """With how reading it goes."""
    return {
        **shapes.repository(each),
        "defaultBranch": each.default_branch,
        "isImported": each.is_imported,
        "importedCommits": each.imported_count,
        "dateUpdateAttempted": shapes.when(each.date_update_attempted),
        "dateNextSync": shapes.when(each.date_next_sync),
    }


def branch(each: Branch) -> Json:
    return {"name": each.name, "sha": each.sha, "dateChanged": shapes.when(each.date_changed)}


def user(each: User | None) -> Json | None:
    return (
        None
        if each is None
        else {"id": each.id.hex, "email": each.email, "avatar": shapes.avatar(each.email)}
    )


def comment(each: Comment) -> Json:
    return {
        "id": each.id.hex,
        "user": user(each.user),
        "text": each.text,
        "path": each.path or None,
        "line": each.line,
        "dateCreated": shapes.when(each.date_created),
    }


def green(each: LatestGreenBuild) -> Json:
    return {"branch": each.branch, "sha": each.sha, "build": shapes.build(each.build, {}, [])}


def revision_result(each: RevisionResult) -> Json:
    return {
        "id": each.id.hex,
        "revisionSha": each.revision_sha,
        "build": {"id": each.build_id.hex},
        "result": shapes.enum(each.result),
    }
