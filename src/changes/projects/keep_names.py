"""How long files of certain names are kept: a pattern and a number of days in each line. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from changes.base.errors import Invalid

DAYS_MAX = 36_500
RULES_MAX = 50
PATTERN_MAX_CHARS = 200
LIKE = str.maketrans({"%": "\\%", "_": "\\_", "\\": "\\\\", "*": "%", "?": "_"})


@dataclass(frozen=True)
class NameRule:
    """Files of these names are kept so long; `like` is the pattern as the database matches it."""

    pattern: str
    days: int

    @property
    def like(self) -> str:
        return self.pattern.translate(LIKE)

    def fits(self, name: str) -> bool:
        """The same question without the database: the whole name, or what follows a slash in it."""
        pattern = self.pattern.replace("[", "[[]")
        tails = [name] + [name[at + 1 :] for at, letter in enumerate(name) if letter == "/"]
        return any(fnmatchcase(tail, pattern) for tail in tails)


def rules(text: str) -> list[NameRule]:
    """A pattern and a number of days in each line; the first that fits a name counts."""
    found = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        pattern, _, days = line.rpartition(" ")
        is_days = days.isascii() and days.isdecimal() and len(days) <= len(str(DAYS_MAX))
        if not pattern.strip() or not is_days or int(days) > DAYS_MAX:
            raise Invalid(
                f"{line[:PATTERN_MAX_CHARS]!r}: a pattern, a blank and a number of days; 0 is for ever."
            )
        if len(pattern) > PATTERN_MAX_CHARS:
            raise Invalid(f"A pattern has at most {PATTERN_MAX_CHARS} characters.")
        found.append(NameRule(pattern.strip(), int(days)))
    if len(found) > RULES_MAX:
        raise Invalid(f"At most {RULES_MAX} lines.")
    return found


def problem(text: str) -> str | None:
    try:
        rules(text)
    except Invalid as error:
        return error.message
    return None
