"""Which lines ran in the builds of the demo: a little more of them from week to week."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo import words
from changes.app.demo.catalogue import PROJECTS
from changes.app.demo.dice import Dice
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Result
from changes.projects import diffs
from changes.results.coverage import making, sources, store
from changes.results.coverage.sources import Added
from changes.results.formats.line_marks import Marks, bits_of
from changes.results.models import TestBatch

BUILDS_WITH_COVERAGE = 120
PARTS = ("service", "models", "api", "errors", "store", "rules")
LAYERS = ("", "adapters/", "web/")
LINES = (40, 320)
# Lines that hold code, those of a function that is tested at all, and how long a function is.
CODE_SHARE, COVERED_SHARE, PARTIAL_SHARE, FUNCTION_LINES = 0.62, 0.8, 0.03, 9
# How much is tested more from build to build.
BETTER_EACH = 0.0007
DEEP = " " * 8
STRANGE = ("/usr/lib/python3.13/enum.py", "build/generated/version.py")
PYTHON = {shape.slug: shape for shape in PROJECTS if shape.tests}


@dataclass(frozen=True)
class CodeFile:
    path: str
    executable: int
    # For each function whether it is tested: it is when this is below the share of the day.
    functions: Sequence[tuple[int, float]]
    partial: int

    def marks(self, covered_share: float) -> Marks:
        lines = 0
        for bits, chance in self.functions:
            lines |= bits if chance < covered_share else 0
        partial = self.partial & lines & self.executable
        return Marks(self.executable, lines & self.executable & ~partial, partial)


def tell(session: Session, seed: int) -> None:
    code: dict[str, list[CodeFile]] = {}
    builds = newest(session)
    for place, build in enumerate(builds):
        shape = PYTHON.get(build.project.slug)
        steps = steps_of(session, build.id)
        if shape is None or not steps:
            continue
        files = code.setdefault(shape.slug, list(code_of(Dice(seed), shape.slug, shape.words)))
        share = COVERED_SHARE - BETTER_EACH * (len(builds) - place)
        tell_one(session, build, steps, {each.path: each.marks(share) for each in files})


def newest(session: Session) -> Sequence[Build]:
    """Oldest first."""
    told = select(TestBatch.id).where(TestBatch.build_id == Build.id).exists()
    found = select(Build).where(told, Build.result.in_((Result.PASSED, Result.FAILED)))
    return session.execute(found.order_by(Build.id.desc()).limit(BUILDS_WITH_COVERAGE)).scalars().all()[::-1]


def steps_of(session: Session, build_id: UUID) -> Sequence[JobStep]:
    found = (
        select(JobStep).join(Job, Job.id == JobStep.job_id).join(TestBatch, TestBatch.step_id == JobStep.id)
    )
    mine = found.where(Job.build_id == build_id, JobStep.replacement_id.is_(None))
    return session.execute(mine.order_by(JobStep.id)).scalars().all()


def code_of(dice: Dice, slug: str, topics: Sequence[str]) -> Iterator[CodeFile]:
    dice.seed(zlib.crc32(slug.encode()))
    for topic in topics:
        for layer in LAYERS:
            for part in PARTS:
                yield code_file(dice, f"src/{topic}/{layer}{part}.py")


def code_file(dice: Dice, path: str) -> CodeFile:
    count = dice.randint(*LINES)
    lines = [line for line in range(1, count + 1) if dice.chance(CODE_SHARE)]
    functions = [
        (bits_of(range(first, first + FUNCTION_LINES)), dice.random())
        for first in range(1, count + 1, FUNCTION_LINES)
    ]
    partial = bits_of([line for line in lines if dice.chance(PARTIAL_SHARE)])
    return CodeFile(path, bits_of(lines), functions, partial)


def tell_one(session: Session, build: Build, steps: Sequence[JobStep], known: dict[str, Marks]) -> None:
    """Each step tells of all files, as shards do."""
    seen = sources.of_build(session, build.id)
    added = sources.added(seen) if seen.patch is not None else of_commit(build)
    for path, here, marks in new_lines(added):
        known[path] = known.get(path, Marks()).within(~here) | marks
    for number, step in enumerate(steps):
        store.store(session, step, shard(known, number, len(steps)), STRANGE if number == 0 else ())
    making.begin(session, build.id)
    made = making.put_together(session, build.id, added)
    if made is not None:
        making.count(session, build.id, made)


def new_lines(added: Added) -> Iterator[tuple[str, int, Marks]]:
    """The lines that are seen of each file, and what of them ran: what is indented deeply did not."""
    for file in added.files:
        code = {line.new: line.text for line in file.lines if line.new}
        lines = [number for number, text in code.items() if text.strip() and '"""' not in text]
        shallow = [number for number in lines if not code[number].startswith(DEEP)]
        yield file.path, bits_of(code), Marks(bits_of(lines), bits_of(shallow))


def of_commit(build: Build) -> Added:
    """The repositories of the demo cannot be read, so what a commit brought is made up."""
    shape = PYTHON[build.project.slug]
    dice = Dice(zlib.crc32(build.source.revision_sha.encode()))
    return Added(diffs.parse(diffs.text_of(words.diff(dice, shape.words))))


def shard(known: dict[str, Marks], number: int, of: int) -> dict[str, Marks]:
    """Together the shards run what all of it ran."""
    if of == 1:
        return known
    every = sum(1 << place for place in range(number, max(LINES) + 1, of))
    return {path: Marks(each.executable, each.covered & every, each.partial) for path, each in known.items()}
