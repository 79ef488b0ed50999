"""The cursor that SQLAlchemy works with here."""

from typing import Any

import psycopg
from psycopg.pq import ExecStatus


class Cursor(psycopg.Cursor[Any]):
    @property
    def description(self) -> Any:
        """Name and type of each column, which is all that SQLAlchemy asks for. psycopg makes an object for
        each of them at each statement, and for an end of a step that is a tenth of all it costs.
        """
        result = self.pgresult
        if result is None or not (result.nfields or result.status == ExecStatus.TUPLES_OK):
            return None
        return [
            ((result.fname(number) or b"").decode(), result.ftype(number)) for number in range(result.nfields)
        ]
