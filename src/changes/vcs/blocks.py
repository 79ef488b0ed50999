"""From the columns of a log to its commits one by one, and back."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice

from changes.vcs.interface import Block, Person, RevisionSeen

BLOCK_COMMITS = 5000


def revisions(blocks: Iterable[Block]) -> Iterator[RevisionSeen]:
    """Of a repository that does not record branches."""
    for block in blocks:
        for sha, parents, author, committer, authored, committed, message in zip(*block[:7], strict=True):
            yield RevisionSeen(
                sha,
                tuple(parents.split()),
                person(*author),
                person(*committer),
                datetime.fromisoformat(authored),
                datetime.fromisoformat(committed),
                message,
            )


# The same few write most of a history.
@lru_cache(maxsize=1024)
def person(name: str, email: str) -> Person:
    return Person(name, email)


def of(revisions_seen: Iterable[RevisionSeen]) -> Iterator[Block]:
    """Of one that records one branch of each."""
    left = iter(revisions_seen)
    while some := list(islice(left, BLOCK_COMMITS)):
        yield Block(
            [seen.sha for seen in some],
            [" ".join(seen.parents) for seen in some],
            [seen.author for seen in some],
            [seen.committer for seen in some],
            [seen.authored_at.isoformat() for seen in some],
            [seen.committed_at.isoformat() for seen in some],
            [seen.message for seen in some],
            [branch for seen in some for branch in seen.branches],
        )
