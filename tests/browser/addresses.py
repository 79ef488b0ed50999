"""One address of every page, with the fullest examples that the database has."""

from typing import Any

from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.app import server

# Answered to a GET without being a page, or by nothing but a redirect.
NO_PAGES = {"/projects/{slug}/coverage.svg", "/palette.json", "/auth/provider/", "/auth/complete/"}
NO_PAGES |= {"/projects/{slug}/builds/{reference}/artifacts/all.zip", "/artifacts/{artifact_id:uuid}/raw/"}
NO_PAGES |= {"/artifacts/{artifact_id:uuid}/inside/{place:number}/", "/files/{token}/{name:file}"}
NO_PAGES |= {f"/logs/{{log_id:uuid}}/{part}/" for part in ("lines", "found", "text", "groups")}
# The build with most failed tests, a build that runs, and so on: where a page is fullest.
EXAMPLES = {
    "slug": "select slug from project join build on build.project_id = project.id"
    " group by slug order by count(*) desc limit 1",
    "red": "select project.slug || ' ' || build.number || ' ' || lpad(to_hex(max(test_run.id)), 32, '0')"
    " from build join project on project.id = build.project_id"
    " join test_batch batch on batch.build_id = build.id"
    " join test_run on test_run.id >= batch.id and test_run.id < batch.end_id and test_run.result = 2"
    " group by project.slug, build.number order by count(*) desc, 1 limit 1",
    # The test that failed most often.
    "tested": "select project.slug || ' ' || test.name_sha from test_run"
    " join test on test.id = test_run.test_id join project on project.id = test.project_id"
    " where test_run.result = 2 group by 1 order by count(*) desc, 1 limit 1",
    "searched": "select project.slug || ' ' || test.name_sha from origin_search search"
    " join project on project.id = search.project_id join test on test.id = search.test_id"
    " where culprit_sha is not null order by search.id desc limit 1",
    "cause": "select project.slug || ' ' || lpad(to_hex(cause_id), 32, '0') from failure_in_build"
    " join project on project.id = failure_in_build.project_id"
    " group by 1 order by count(*) desc, 1 limit 1",
    # A line that was said in most builds, a build with one that is no test's, and a card.
    "said": "select project.slug || ' ' || lpad(to_hex(log_error.id), 32, '0') from log_error"
    " join project on project.id = log_error.project_id order by builds desc, log_error.id limit 1",
    "wrong": "select project.slug || ' ' || build.number from log_error_in_build seen"
    " join log_error on log_error.id = seen.error_id and rank >= 80 join build on build.id = seen.build_id"
    " join project on project.id = build.project_id order by build.id desc limit 1",
    "card": "select project.slug || ' ' || build.number || ' ' || key from card"
    " join build on build.id = card.build_id join project on project.id = build.project_id"
    " order by card.style = 'warning' desc, card.id limit 1",
    "covered": "select project.slug || ' ' || build.number || ' ' || file.path from build_coverage_pack pack"
    " join build on build.id = pack.build_id join project on project.id = build.project_id"
    " join source on source.id = build.source_id and source.patch_id is not null,"
    " unnest(pack.files) as number join coverage_file file on file.id = number"
    " where file.path like '%limits.py' order by build.id desc, 1 limit 1",
    "flaky": "select slug from project join test_flakiness on project_id = project.id"
    " group by slug order by count(*) desc, 1 limit 1",
    "running": "select project.slug || ' ' || build.number from build"
    " join project on project.id = build.project_id where build.status = 2 order by build.id desc limit 1",
    "patched": "select project.slug || ' ' || build.number from build"
    " join project on project.id = build.project_id join source on source.id = build.source_id"
    " where source.patch_id is not null order by build.id desc limit 1",
    "commit": "select project.slug || ' ' || revision.sha from revision join project"
    " on project.repository_id = revision.repository_id join source on source.revision_sha = revision.sha"
    " join build on build.source_id = source.id and build.project_id = project.id"
    " group by 1 order by count(*) desc, 1 limit 1",
    "log": "select replace(id::text, '-', '') from log_source order by size_bytes desc, id desc limit 1",
    "step": "select replace(step_id::text, '-', '') from log_source"
    " order by size_bytes desc, id desc limit 1",
    "node": "select replace(node_id::text, '-', '') from job_step where node_id is not null"
    " group by node_id order by count(*) desc limit 1",
    "plan": "select replace(step.plan_id::text, '-', '') || ' ' || replace(min(step.id::text), '-', '')"
    " from step group by step.plan_id order by count(*) desc, 1 limit 1",
    "lane": "select replace(lane_id::text, '-', '') from job_step where status = 6 and lane_id is not null"
    " group by lane_id order by count(*) desc, 1 limit 1",
    "cluster": "select md5(split_part(labels->>'cluster', ',', 1)) from node where labels ? 'cluster'"
    " order by label limit 1",
    "task": "select replace(id::text, '-', '') from task where state = 4 order by id desc limit 1",
    "waiting_step": "select replace(id::text, '-', '') from job_step where status = 6"
    " and lane_id is not null order by id limit 1",
    "job": "select replace(job.id::text, '-', '') from job where status = 2 order by id desc limit 1",
    # A build that waits and is red at once: what is told of it is the most that is told of any.
    "waiting_red": "select project.slug || ' ' || build.number from build"
    " join project on project.id = build.project_id join job on job.build_id = build.id"
    " join job_step on job_step.job_id = job.id and job_step.status = 6 and job_step.lane_id is not null"
    " where exists (select from test_batch batch join test_run"
    "     on test_run.id >= batch.id and test_run.id < batch.end_id"
    "     where batch.build_id = build.id and test_run.result = 2) limit 1",
    "repository": "select replace(id::text, '-', '') from repository order by id limit 1",
    "change": "select replace(change_id::text, '-', '') || ' ' || replace(min(id::text), '-', '')"
    " || ' ' || max(number) from source"
    " where change_id is not null and patch_id is not null"
    " group by change_id order by bool_or(exists (select from comment where target_id = source.id)) desc,"
    " count(*) desc, 1 limit 1",
    # Of the source above.
    "line": "select path || ':' || line from comment where path <> '' order by target_id::text limit 1",
    "comment": "select replace(id::text, '-', '') from comment order by id limit 1",
    "author": "select replace(author_id::text, '-', '') from build where author_id is not null"
    " group by author_id order by count(*) desc limit 1",
    "user": "select replace(id::text, '-', '') from \"user\" order by id limit 1",
    # A page, an archive, a picture and a text that some step left behind.
    **{
        name: (
            f"select replace(id::text, '-', '') from artifact where name like '{pattern}' order by id limit 1"
        )
        for name, pattern in (
            ("report", "%.html"),
            ("archive", "%.tar.gz"),
            ("picture", "%.png"),
            ("text", "%.js"),
            ("notes", "%.md"),
        )
    },
    "targets": "select project.slug || ' ' || build.number from bazel_target target"
    " join job on job.id = target.job_id join build on build.id = job.build_id"
    " join project on project.id = build.project_id"
    " group by project.slug, build.number, build.id order by bool_or(target.result = 2) desc, build.id desc"
    " limit 1",
    "token": "select replace(id::text, '-', '') from token where date_revoked is null order by id limit 1",
}
PARTS = {
    "change": ("change", "source", "version"),
    "red": ("red_slug", "red_number", "run"),
    "tested": ("tested_slug", "test_sha"),
    "searched": ("searched_slug", "searched_sha"),
    "cause": ("cause_slug", "cause_id"),
    "covered": ("covered_slug", "covered_number", "covered_path"),
    "said": ("said_slug", "said"),
    "wrong": ("wrong_slug", "wrong_number"),
    "card": ("card_slug", "card_number", "card"),
    "running": ("running_slug", "running_number"),
    "targets": ("target_slug", "target_number"),
    "patched": ("patched_slug", "patched_number"),
    "commit": ("commit_slug", "sha"),
    "plan": ("plan", "plan_step"),
    "waiting_red": ("waiting_red_slug", "waiting_red_number"),
}
BUILD = "/projects/{slug}/builds/{reference}/"
RED = "/projects/{red_slug}/builds/{red_number}/"
COVERED = "/projects/{covered_slug}/builds/{covered_number}/"
RUNNING = "/projects/{running_slug}/builds/{running_number}/"
PAGES = {
    "/": "/",
    "/projects/": "/projects/",
    "/projects/new/": "/projects/new/",
    "/projects/{slug}/": "/projects/{slug}/",
    "/projects/{slug}/start/": "/projects/{slug}/start/",
    "/projects/{slug}/build/": "/projects/{slug}/build/",
    "/statistics/": "/statistics/",
    "/projects/{slug}/statistics/": "/projects/{slug}/statistics/",
    "/projects/{slug}/commits/": "/projects/{slug}/commits/",
    "/projects/{slug}/commits/{sha}/": "/projects/{commit_slug}/commits/{sha}/",
    "/projects/{slug}/details/": "/projects/{slug}/details/",
    "/projects/{slug}/plans/": "/projects/{slug}/plans/",
    "/projects/{slug}/plans/new/": "/projects/{slug}/plans/new/",
    "/failures/": "/failures/?days=90",
    "/projects/{slug}/failures/": "/projects/{cause_slug}/failures/?days=90",
    "/projects/{slug}/failures/{cause_id:uuid}/": "/projects/{cause_slug}/failures/{cause_id}/",
    "/projects/{slug}/log-errors/": "/projects/{said_slug}/log-errors/?days=90",
    "/projects/{slug}/log-errors/{error_id:uuid}/": "/projects/{said_slug}/log-errors/{said}/",
    f"{BUILD}targets/": "/projects/{target_slug}/builds/{target_number}/targets/",
    f"{BUILD}cards/{{key}}/": "/projects/{card_slug}/builds/{card_number}/cards/{card}/",
    "/projects/{slug}/flaky/": "/projects/{flaky}/flaky/",
    "/projects/{slug}/triggers/": "/projects/{slug}/triggers/",
    "/projects/{slug}/settings/": "/projects/{slug}/settings/",
    "/projects/{slug}/kept/": "/projects/{slug}/kept/",
    "/projects/{slug}/coverage/": "/projects/{covered_slug}/coverage/",
    "/projects/{slug}/tests/": "/projects/{tested_slug}/tests/",
    "/projects/{slug}/tests/all/": "/projects/{tested_slug}/tests/all/",
    "/projects/{slug}/tests/{sha}/": "/projects/{tested_slug}/tests/{test_sha}/",
    "/projects/{slug}/tests/{sha}/origin/": "/projects/{searched_slug}/tests/{searched_sha}/origin/",
    "/projects/{slug}/tests/{sha}/compare/": "/projects/{tested_slug}/tests/{test_sha}/compare/",
    BUILD: RED,
    f"{BUILD}tests/": f"{RED}tests/",
    f"{BUILD}tests/{{run_id:uuid}}/": f"{RED}tests/{{run}}/",
    f"{BUILD}artifacts/": f"{RED}artifacts/",
    "/artifacts/{artifact_id:uuid}/": "/artifacts/{report}/",
    f"{BUILD}coverage/": f"{COVERED}coverage/",
    f"{BUILD}coverage/changes/": f"{COVERED}coverage/changes/",
    f"{BUILD}coverage/files/{{path:path}}": f"{COVERED}coverage/files/{{covered_path}}",
    f"{BUILD}patch/": "/projects/{patched_slug}/builds/{patched_number}/patch/",
    "/projects/{slug}/builds/{number:number}/cancel/": f"{RUNNING}cancel/",
    "/projects/{slug}/builds/{number:number}/restart/": f"{RED}restart/",
    "/jobs/{job_id:uuid}/cancel/": "/jobs/{job}/cancel/",
    "/steps/{step_id:uuid}/": "/steps/{step}/",
    "/logs/{log_id:uuid}/": "/logs/{log}/",
    "/steps/{step_id:uuid}/cancel/": "/steps/{step}/cancel/",
    "/queue/": "/queue/",
    "/queue/lanes/{lane_id:uuid}/": "/queue/lanes/{lane}/",
    "/clusters/": "/clusters/",
    "/clusters/{cluster_id:uuid}/": "/clusters/{cluster}/",
    "/infra/": "/infra/?hours=720",
    "/tasks/": "/tasks/",
    "/tasks/{task_id:uuid}/forget/": "/tasks/{task}/forget/",
    "/plans/": "/plans/",
    "/plans/{plan_id:uuid}/": "/plans/{plan}/",
    "/plans/{plan_id:uuid}/edit/": "/plans/{plan}/edit/",
    "/plans/{plan_id:uuid}/delete/": "/plans/{plan}/delete/",
    "/plans/{plan_id:uuid}/steps/new/": "/plans/{plan}/steps/new/",
    "/plans/{plan_id:uuid}/steps/{step_id:uuid}/": "/plans/{plan}/steps/{plan_step}/",
    "/plans/{plan_id:uuid}/steps/{step_id:uuid}/delete/": "/plans/{plan}/steps/{plan_step}/delete/",
    "/nodes/": "/nodes/",
    "/nodes/{node_id:uuid}/": "/nodes/{node}/",
    "/nodes/original/": "/nodes/original/",
    "/nodes/original/{key_id:uuid}/revoke/": "/nodes/original/",
    "/nodes/{node_id:uuid}/{how}/": "/nodes/{node}/drain/",
    "/repositories/": "/repositories/",
    "/repositories/{repository_id:uuid}/": "/repositories/{repository}/",
    "/repositories/{repository_id:uuid}/edit/": "/repositories/{repository}/edit/",
    "/repositories/{repository_id:uuid}/credentials/": "/repositories/{repository}/credentials/",
    "/repositories/{repository_id:uuid}/files/{revision}/{path:path}": (
        "/repositories/{repository}/files/main/a"
    ),
    "/changes/": "/changes/",
    "/changes/{change_id:uuid}/": "/changes/{change}/",
    "/changes/{change_id:uuid}/diff/{earlier:number}/{later:number}/": "/changes/{change}/diff/1/{version}/",
    "/sources/{source_id:uuid}/": "/sources/{source}/",
    "/comments/{comment_id:uuid}/delete/": "/comments/{comment}/delete/",
    "/authors/": "/authors/",
    "/authors/{author_id:uuid}/": "/authors/{author}/",
    "/search/": "/search/?q=orbit",
    "/account/": "/account/",
    "/account/tokens/{token_id:uuid}/revoke/": "/account/",
    "/users/": "/users/",
    "/users/new/": "/users/new/",
    "/users/{user_id:uuid}/": "/users/{user}/",
    "/users/{user_id:uuid}/disable/": "/users/{user}/disable/",
    "/users/{user_id:uuid}/remove/": "/users/{user}/remove/",
    "/tokens/": "/tokens/",
    "/tokens/{token_id:uuid}/revoke/": "/tokens/{token}/revoke/",
    "/admin/message/": "/admin/message/",
    "/admin/retention/": "/admin/retention/",
    "/admin/disk/": "/admin/disk/",
    "/auth/login/": "/auth/login/",
    "/auth/link/{secret}/": "/auth/link/no-such-link/",
    "/design": "/design",
}
# The same page in another of its states.
MORE = [
    # Without any coverage.
    f"{RUNNING}coverage/",
    "/projects/infra/coverage/",
    RUNNING,
    "/projects/{waiting_red_slug}/builds/{waiting_red_number}/",
    "/steps/{waiting_step}/",
    "/projects/{tested_slug}/tests/{test_sha}/compare/?view=unified",
    "/projects/{tested_slug}/tests/{test_sha}/?result=failed",
    "/search/?q=nothing+like+this",
    # With what was looked for in it.
    "/logs/{log}/?q=e&line=1",
    "/projects/{wrong_slug}/builds/{wrong_number}/",
    "/projects/{card_slug}/builds/{card_number}/",
    *(f"/artifacts/{{{kind}}}/" for kind in ("archive", "picture", "text", "notes")),
    "/artifacts/{archive}/?inside=0",
    f"{RED}artifacts/?name=nothing-like-this",
    # With a form to comment beside the line.
    "/sources/{source}/?comment={line}",
]
ERRORS = ["/no/such/page"]


def routes() -> set[str]:
    """The paths that browsers ask for with GET."""
    found = (route for part in server.PAGES for route in part.pages.routes if isinstance(route, APIRoute))
    return {route.path for route in found if "GET" in (route.methods or ()) and route.path not in NO_PAGES}


def examples(session: Session) -> dict[str, str]:
    known: dict[str, str] = {}
    for name, query in EXAMPLES.items():
        found: Any = session.execute(text(query)).scalar()
        if found is None:
            # Whoever needs it fails by its name.
            continue
        words = str(found).split(" ")
        known |= dict(zip(PARTS.get(name, (name,)), words, strict=True))
    return known


def addresses(session: Session) -> list[str]:
    known = examples(session)
    return [each.format(**known) for each in dict.fromkeys([*PAGES.values(), *MORE, *ERRORS])]
