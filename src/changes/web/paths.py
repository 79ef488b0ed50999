"""What may stand in an address beside words and ids, and how an address is logged."""

import re

from starlette.convertors import Convertor

# What follows is a secret that opens the door.
SECRET_PATHS = re.compile("^(/auth/link/|/original/|/files/|/hooks/repositories/[^/]*/)[^/]*")


def printable(path: str) -> str:
    return SECRET_PATHS.sub(r"\1...", path)


class Number(Convertor[int]):
    """A number that fits into a column; anything longer is the address of nothing."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


class FileName(Convertor[str]):
    """A path below something; any character may be in it, a line break too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value
