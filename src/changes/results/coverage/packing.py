"""Files and their bits as COPY wants them in binary, many to a row; a call for each would cost more."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from struct import Struct
from uuid import UUID

from changes.results.coverage.models import FILES_PER_PACK
from changes.results.formats.line_marks import Marks, packed

COLUMNS = "step_id, number, files, executable, covered, partial"
COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
INT4, VARBIT = 23, 1562
# How many columns, and before each value its length in bytes.
ROW = Struct(">hi16sii")
LENGTH = Struct(">i")
# Dimensions, whether there are nulls, of which kind, how many, counted from where.
ARRAY = Struct(">iiIii")
INTEGER = Struct(">ii")
BITS = Struct(">ii")
NULL = LENGTH.pack(-1)


def copied(step_id: UUID, files: Mapping[int, Marks]) -> Iterator[bytes]:
    """By the number of each file."""
    yield COPY_BEGIN
    for number, group in groupby(sorted(files), key=lambda file_id: file_id // FILES_PER_PACK):
        ids = list(group)
        marks = [files[file_id] for file_id in ids]
        widths = [each.line_count for each in marks]
        yield ROW.pack(6, 16, step_id.bytes, 4, number)
        yield array(INT4, [INTEGER.pack(4, file_id) for file_id in ids])
        for bits in ([each.executable for each in marks], [each.covered for each in marks]):
            yield array(VARBIT, [of_bits(each, width) for each, width in zip(bits, widths, strict=True)])
        partial = [of_bits(each.partial, each.line_count) if each.partial else NULL for each in marks]
        yield array(VARBIT, partial)
    yield COPY_END


def array(kind: int, values: list[bytes]) -> bytes:
    """With its length before it."""
    inside = b"".join(values)
    has_nulls = int(any(value == NULL for value in values))
    head = ARRAY.pack(1, has_nulls, kind, len(values), 1)
    return LENGTH.pack(len(head) + len(inside)) + head + inside


def of_bits(bits: int, width: int) -> bytes:
    data = packed(bits, width)
    return BITS.pack(4 + len(data), width) + data
