"""From a played build to its rows, down to the last test run."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from changes.app.demo import clocks, console, left
from changes.app.demo.ground import Ground, PlacedProject
from changes.app.demo.lives import life_of, talk, vars_of
from changes.app.demo.month import Change, Request
from changes.app.demo.play import Attempt, Phase, PlayedJob, State, whole
from changes.app.demo.rows import Ids, Rows
from changes.app.demo.suites import Run
from changes.base.storage import Storage
from changes.builds import reasons
from changes.builds.models import Build, Command, FailureReason, Job, JobPhase, JobPlan, JobStep
from changes.builds.reasons import Reason
from changes.builds.recipes import BASE_ENV, SOURCE_FOLDER
from changes.builds.rules import CommandType, Priority, Result, Status
from changes.projects.models import Patch, Revision, Source
from changes.protocol import CONSOLE
from changes.results.models import Artifact, ItemStat, LogChunk, LogSource, TestBatch, TestMessage, TestRun

TIMEOUT_S = 3600
CHUNK_BYTES = 32 * 1024
DECIDED_AFTER = timedelta(milliseconds=7)


@dataclass(frozen=True)
class Detail:
    """Old builds are told in less detail, or fifty thousand of them would take an hour."""

    has_tests: bool
    has_logs: bool
    is_of_commit: bool


@dataclass(frozen=True)
class Sources:
    """The source of each change, and the collection of each push, as they get their ids."""

    changes: dict[str, UUID]
    collections: dict[int, UUID]


class Writer:
    def __init__(self, rows: Rows, ids: Ids, ground: Ground, storage: Storage, now: datetime) -> None:
        self.rows, self.ids, self.ground, self.storage, self.now = rows, ids, ground, storage, now
        self.dice = ids.dice
        self.sources = Sources({}, {})
        # By digest: where the bytes lie.
        self.kept: dict[str, str] = {}

    def first_commits(self, heads: dict[str, str], at: datetime) -> None:
        """What the first changes of each repository stand on."""
        for placed in self.ground.projects.values():
            sha = heads.pop(placed.shape.url, None)
            if sha is not None:
                self.revision(placed.repository_id, sha, at, message="The first commit\n")

    def build(self, request: Request, jobs: Sequence[PlayedJob], detail: Detail) -> State:
        placed = self.ground.projects[request.project.slug]
        state = whole([job.state for job in jobs])
        build_id = self.ids.at(request.at)
        change = request.change
        collection_id = self.sources.collections.setdefault(request.collection, build_id)
        self.rows.add(
            Build,
            id=build_id,
            date_created=request.at,
            number=request.number,
            project_id=placed.id,
            collection_id=collection_id,
            source_id=self.source(placed, request),
            author_id=self.ground.authors[change.author.email],
            cause=request.cause,
            priority=Priority.DEFAULT,
            label=change.message.subject,
            target=change.target,
            message=change.message.text,
            tags=["patch"] if change.review else [],
            last_job_number=len(jobs),
            date_decided=state.date_finished + DECIDED_AFTER if state.date_finished else None,
            date_modified=state.date_finished or self.now,
            **judged(state),
        )
        stats = Counter[str]()
        for number, job in enumerate(jobs, start=1):
            stats.update(JobWriter(self, placed, build_id, detail).job(number, job))
        self.stats(build_id, stats)
        return state

    def source(self, placed: PlacedProject, request: Request) -> UUID:
        change = request.change
        key = f"{change.url} {change.target}"
        if key in self.sources.changes:
            return self.sources.changes[key]
        patch_id = self.patch(placed, change) if change.review else None
        if not change.review:
            self.revision(placed.repository_id, change.sha, change.at, **self.authored(change))
        lived = life_of(self.rows, self.ids, placed, change, self.ground.authors[change.author.email])
        source_id = self.sources.changes[key] = self.ids.at(change.at)
        review = {"phabricator.revisionID": change.review} if change.review else {}
        self.rows.add(
            Source,
            id=source_id,
            date_created=change.at,
            repository_id=placed.repository_id,
            revision_sha=change.sha,
            patch_id=patch_id,
            data=review,
            change_id=lived,
            number=1,
        )
        if change.review:
            talk(self.rows, self.ids, self.ground, change, (lived, source_id))
        return source_id

    def authored(self, change: Change) -> dict[str, Any]:
        author_id = self.ground.authors[change.author.email]
        return {"message": change.message.text, "parents": [change.parent], "author_id": author_id}

    def patch(self, placed: PlacedProject, change: Change) -> UUID:
        patch_id = self.ids.at(change.at)
        self.rows.add(
            Patch,
            id=patch_id,
            date_created=change.at,
            repository_id=placed.repository_id,
            parent_revision_sha=change.sha,
            diff=change.diff,
            **vars_of(change.diff),
        )
        return patch_id

    def revision(self, repository_id: UUID, sha: str, at: datetime, **told: Any) -> None:
        about = {"message": "", "parents": [], "author_id": None, **told}
        self.rows.add(
            Revision,
            repository_id=repository_id,
            sha=sha,
            committer_id=about["author_id"],
            branches=["main"],
            config="",
            date_created=at,
            date_committed=at,
            **about,
        )

    def stats(self, item_id: UUID, stats: Counter[str]) -> None:
        for name, value in stats.items():
            self.rows.add(ItemStat, item_id=item_id, name=name, value=value)


class JobWriter:
    def __init__(self, writer: Writer, placed: PlacedProject, build_id: UUID, detail: Detail) -> None:
        self.rows, self.ids, self.dice, self.now = writer.rows, writer.ids, writer.dice, writer.now
        self.writer, self.placed, self.build_id, self.detail = writer, placed, build_id, detail

    def job(self, number: int, job: PlayedJob) -> Counter[str]:
        """Returns what its current steps count, so that the build can sum it up."""
        born = {"id": self.ids.at(job.opened), "date_created": job.opened}
        job_id = UUID(str(born["id"]))
        plan = self.placed.plans[job.plan.label]
        self.rows.add(
            Job,
            **born,
            number=number,
            build_id=self.build_id,
            project_id=self.placed.id,
            label=job.plan.label,
            date_modified=job.state.date_finished or self.now,
            **judged(job.state),
        )
        self.rows.add(
            JobPlan,
            id=self.ids.at(job.opened),
            date_created=job.opened,
            job_id=job_id,
            build_id=self.build_id,
            plan_id=plan.id,
            data=plan.frozen,
        )
        stats = Counter[str]()
        for order, phase in enumerate(job.phases):
            stats.update(self.phase(job, job_id, order, phase))
        self.writer.stats(job_id, stats)
        return stats

    def phase(self, job: PlayedJob, job_id: UUID, order: int, phase: Phase) -> Counter[str]:
        phase_id = self.ids.at(job.opened)
        self.rows.add(
            JobPhase,
            id=phase_id,
            date_created=job.opened,
            job_id=job_id,
            label=job.plan.label,
            order=order,
            **judged(phase.state),
        )
        step_ids = [self.ids.at(created(job, phase, attempt)) for attempt in phase.attempts]
        following: list[UUID | None] = [*step_ids[1:], None]
        stats = Counter[str]()
        for step_id, next_id, attempt in zip(step_ids, following, phase.attempts, strict=True):
            replacement_id = next_id if attempt.is_replaced else None
            self.step((job, job_id, phase_id), phase, attempt, (step_id, replacement_id))
            stats.update(self.below(job_id, phase, attempt, step_id))
        return stats

    def step(
        self,
        above: tuple[PlayedJob, UUID, UUID],
        phase: Phase,
        attempt: Attempt,
        own: tuple[UUID, UUID | None],
    ) -> None:
        job, job_id, phase_id = above
        step_id, replacement_id = own
        at = created(job, phase, attempt)
        shards = phase.shape.shards
        number = f" ({attempt.shard + 1}/{shards})" if shards > 1 else ""
        is_held = attempt.state.status == Status.IN_PROGRESS
        self.rows.add(
            JobStep,
            id=step_id,
            date_created=at,
            job_id=job_id,
            phase_id=phase_id,
            project_id=self.placed.id,
            label=job.plan.label + number,
            attempt=attempt.number,
            replacement_id=replacement_id,
            node_id=self.writer.ground.nodes[attempt.machine.label] if attempt.machine else None,
            cluster=job.plan.cluster,
            priority=Priority.DEFAULT,
            timeout_s=TIMEOUT_S,
            last_heartbeat=self.now if is_held else attempt.state.date_finished,
            date_pending=at,
            date_allocated=attempt.state.date_started,
            data={"checkout_folder": SOURCE_FOLDER, **left.phases(attempt.commands)},
            **judged(attempt.state),
        )
        self.commands(step_id, at, attempt)

    def commands(self, step_id: UUID, at: datetime, attempt: Attempt) -> None:
        for order, ran in enumerate(attempt.commands):
            self.rows.add(
                Command,
                id=self.ids.at(at),
                date_created=at,
                step_id=step_id,
                label=ran.shape.label,
                script=ran.shape.script,
                env=BASE_ENV,
                cwd="",
                artifacts=list(ran.shape.artifacts),
                order=order,
                type=CommandType[ran.shape.type.upper()],
                status=ran.status,
                return_code=ran.return_code,
                date_started=ran.date_started,
                date_finished=ran.date_finished,
            )

    def below(self, job_id: UUID, phase: Phase, attempt: Attempt, step_id: UUID) -> Counter[str]:
        """Reasons, tests and files; what a replaced attempt counted is not summed up."""
        end = attempt.state.date_finished or self.now
        runs = self.runs(phase, attempt, end)
        why = [attempt.why] if attempt.why else []
        failures = sum(run.result == Result.FAILED for run in runs)
        if failures:
            why.append(Reason(reasons.TEST_FAILURES, {"count": failures}))
        for reason in why:
            self.reason(job_id, step_id, reason, end)
        if runs:
            self.tests(job_id, step_id, runs, end)
        if self.detail.has_logs and attempt.state.date_started is not None:
            self.files(job_id, step_id, attempt, runs)
        return stats_of(runs)

    def runs(self, phase: Phase, attempt: Attempt, end: datetime) -> list[Run]:
        suite = self.placed.suites.get(phase.shape.suite)
        if suite is None or not self.detail.has_tests or not attempt.has_run_tests:
            return []
        tests = suite.shard(attempt.shard, phase.shape.shards)
        return suite.run(self.dice, tests, end, fails=attempt.state.result == Result.FAILED)

    def reason(self, job_id: UUID, step_id: UUID, why: Reason, at: datetime) -> None:
        self.rows.add(
            FailureReason,
            id=self.ids.at(at),
            date_created=at,
            build_id=self.build_id,
            job_id=job_id,
            step_id=step_id,
            reason=why.id,
            data=dict(why.facts),
        )

    def tests(self, job_id: UUID, step_id: UUID, runs: list[Run], at: datetime) -> None:
        first = self.ids.batch(at)
        self.rows.add(
            TestBatch,
            id=first,
            end_id=first + len(runs),
            step_id=step_id,
            job_id=job_id,
            build_id=self.build_id,
            project_id=self.placed.id,
            date_created=at,
            is_of_commit=self.detail.is_of_commit,
            is_summed_up=False,
        )
        for run_id, run in enumerate(runs, first):
            self.rows.add(
                TestRun,
                id=run_id,
                test_id=run.test.id,
                duration_ms=run.duration_ms,
                result=run.result,
                reruns=run.reruns,
            )
            if run.message:
                self.rows.add(TestMessage, run_id=run_id, text=run.message)
        self.writer.stats(step_id, stats_of(runs))

    def files(self, job_id: UUID, step_id: UUID, attempt: Attempt, runs: list[Run]) -> None:
        text = console.of_attempt(self.dice, attempt, runs, self.now)
        end = attempt.state.date_finished or self.now
        self.log(job_id, step_id, (attempt.state.date_started or end, end), text)
        if runs:
            for file in (("junit.xml", console.junit(runs)), *left.files(runs)):
                self.artifact(job_id, step_id, end, file)

    def log(self, job_id: UUID, step_id: UUID, during: tuple[datetime, datetime], text: bytes) -> None:
        at, took = during[0], during[1] - during[0]
        source_id = self.ids.at(at)
        about = {"name": CONSOLE, "size_bytes": len(text), "newlines": text.count(b"\n")}
        self.rows.add(LogSource, id=source_id, date_created=at, step_id=step_id, job_id=job_id, **about)
        for offset in range(0, len(text), CHUNK_BYTES):
            data = text[offset : offset + CHUNK_BYTES]
            place = {"offset": offset, "size_bytes": len(data), "lines_before": text.count(b"\n", 0, offset)}
            times = clocks.read_times(text, offset, len(data), at, took)
            self.rows.add(LogChunk, source_id=source_id, **place, data=data, times=times)

    def artifact(self, job_id: UUID, step_id: UUID, at: datetime, file: tuple[str, bytes]) -> None:
        name, data = file
        artifact_id = self.ids.at(at)
        digest = hashlib.sha256(data).hexdigest()
        key = self.writer.kept.setdefault(digest, f"artifacts/{step_id.hex}/{artifact_id.hex}")
        if key.endswith(artifact_id.hex):
            self.writer.storage.put(key, data)
        self.rows.add(
            Artifact,
            id=artifact_id,
            date_created=at,
            step_id=step_id,
            job_id=job_id,
            name=name,
            size_bytes=len(data),
            sha256=digest,
            key=key,
        )


def created(job: PlayedJob, phase: Phase, attempt: Attempt) -> datetime:
    """Attempts and shards are made when they are needed, the rest together with the job."""
    return attempt.opened if attempt.number > 1 or phase.shape.shards > 1 else job.opened


def judged(state: State) -> dict[str, Any]:
    return {
        "status": state.status,
        "result": state.result,
        "date_started": state.date_started,
        "date_finished": state.date_finished,
    }


def stats_of(runs: Sequence[Run]) -> Counter[str]:
    if not runs:
        return Counter()
    return Counter(
        {
            "test_count": len(runs),
            "test_failures": sum(run.result == Result.FAILED for run in runs),
            "test_duration": sum(run.duration_ms for run in runs),
            "test_rerun_count": sum(run.reruns > 0 for run in runs),
        }
    )
