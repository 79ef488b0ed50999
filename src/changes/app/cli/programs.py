"""The programs that run for weeks. Here they start without the command line, whose parser would
take 14 MB in each of them: `python -m changes.app.cli.programs web`.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from changes.app.cli.output import NOT_REACHABLE, REFUSED, WRONG_USAGE, fail


@contextmanager
def known_errors() -> Iterator[None]:
    """Every error that has a name becomes one sentence and an exit code."""
    from psycopg import OperationalError as PsycopgOperationalError
    from sqlalchemy.exc import OperationalError

    from changes.base.errors import ChangesError
    from changes.base.settings import InvalidSettings

    try:
        yield
    except InvalidSettings as error:
        fail(str(error), WRONG_USAGE)
    except ChangesError as error:
        fail(error.message, REFUSED)
    except (OperationalError, PsycopgOperationalError) as error:
        first = str(getattr(error, "orig", error)).strip().split("\n", 1)[0]
        fail(
            f"The database cannot be reached ({first}). Does `changes up` run on this CHANGES_HOME?",
            NOT_REACHABLE,
        )


def web() -> None:
    with known_errors():
        from changes.app import web as program

        program.main()


def worker(arguments: list[str]) -> None:
    """The same as `celery -A changes.app worker`, without needing its command on the PATH."""
    # Celery warns of root at length; here it runs our own code only, never that of a repository.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    with known_errors():
        from changes.app import worker as program

        program.main(arguments)


def agent(arguments: list[str]) -> None:
    from changes.agent import main as program

    program.main(arguments)


def main() -> None:
    name, *arguments = sys.argv[1:]
    if name == "web":
        web()
    elif name == "worker":
        worker(arguments)
    else:
        agent(arguments)


if __name__ == "__main__":
    main()
