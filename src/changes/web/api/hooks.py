"""Webhooks that ask for builds: made and taken away by those with rights, called by whoever can sign."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from changes.base.errors import Invalid
from changes.base.process import settings
from changes.builds import hooks, triggers_rules
from changes.builds.hooks import HEAD, Signed, Wanted
from changes.builds.models import Build
from changes.builds.triggers_models import BuildHook
from changes.people.rules import Scope
from changes.projects import looks, queries
from changes.web import answers, call, params, shapes, storable
from changes.web.params import Parameters, documented, parameters

api = APIRouter(tags=["triggers"])
BODY_MAX_BYTES = 4 * 1024 * 1024
REF_MAX = 255
BRANCHES = "refs/heads/"
NOTHING_LEFT = "0" * 40
# Of GitHub and of what speaks like it; without such a header it is a program of somebody's own.
EVENT_HEADERS = ("X-GitHub-Event", "X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event")


class NewHook(Parameters):
    name: Annotated[str, Field(description="of the program that will call it")] = ""


def shape(each: BuildHook) -> shapes.Json:
    return {
        "id": each.id.hex,
        "name": each.name,
        "url": f"{settings.get().base_url}/api/0/hooks/{each.id.hex}/",
        "dateCreated": shapes.when(each.date_created),
        "dateUsed": shapes.when(each.date_used),
    }


@api.get("/projects/{project_id}/hooks/")
def list_hooks(request: Request, project_id: str) -> Response:
    """For those who may change them; their secrets are told once, when they are made."""
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        return this.answer([shape(each) for each in hooks.of(this.session, project)])


@api.post("/projects/{project_id}/hooks/", openapi_extra=documented(NewHook))
def create_hook(
    request: Request, project_id: str, asked: Annotated[NewHook, parameters(NewHook)]
) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        made, secret = hooks.create(this.session, project, asked.name)
        return this.answer_secret({**shape(made), "secret": secret}, "secret")


@api.delete("/projects/{project_id}/hooks/{hook_id:uuid}/")
def drop_hook(request: Request, project_id: str, hook_id: UUID) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        this.require_project(project.slug)
        hooks.drop(this.session, project, hook_id)
        return this.answer_nothing()


@api.post("/hooks/{hook_id:uuid}/")
async def call_hook(request: Request, hook_id: UUID) -> Response:
    """The body is JSON: `sha`, `branch` or `ref` says what, without any it is the default branch's
    newest commit; `parameters` has values for the plans. A push as GitHub and Gitea send it is known too.
    """
    body = await params.body_of(request, BODY_MAX_BYTES)
    return await run_in_threadpool(call.with_looks, request, lambda: build_signed(request, hook_id, body))


def build_signed(request: Request, hook_id: UUID, body: bytes) -> Response:
    header = request.headers.get
    signed = Signed(header("Changes-Signature", ""), header("X-Hub-Signature-256", ""))
    with looks.transaction(request.state.looks) as session:
        hook = hooks.verified(session, hook_id, signed, body)
        event = next(filter(None, (header(name) for name in EVENT_HEADERS)), "push")
        asked = params.read_json(body) if body.strip() else {}
        if event != "push" or asked.get("after") == NOTHING_LEFT:
            return answers.json({"build": None, "why": "There is nothing to build in this."})
        timeout_min = settings.get().default_job_timeout_min
        signature = signed.ours or signed.theirs
        made, decided = hooks.build(session, hook, wanted(asked), signature, timeout_min=timeout_min)
        if decided is None:
            return answers.json({"build": shape_of(made), "why": "It was asked for before."})
        why = triggers_rules.sentence(decided.verdict.why, decided.verdict.facts)
        return answers.json({"build": shape_of(made), "why": why}, 201 if made else 200)


def shape_of(build: Build | None) -> shapes.Json | None:
    if build is None:
        return None
    where = f"{settings.get().base_url}/projects/{build.project.slug}/builds/{build.number}/"
    return {"id": build.id.hex, "number": build.number, "link": where}


def wanted(asked: dict[str, Any]) -> Wanted:
    names = [asked.get(key) for key in ("sha", "after", "branch", "ref")]
    name = next(filter(None, names), HEAD)
    values = asked.get("parameters", {})
    if not isinstance(name, str) or len(name) > REF_MAX:
        raise Invalid(f"sha, branch or ref is a text of at most {REF_MAX} characters.", ["sha"])
    storable.refuse_others(asked, "body")
    is_flat = isinstance(values, dict) and all(isinstance(each, str) for each in values.values())
    if not is_flat:
        raise Invalid("parameters is a mapping of names to texts.", ["parameters"])
    return Wanted(name.removeprefix(BRANCHES), values)
