"""What can go wrong with a repository, by meaning; the words of the tool travel along, without secrets."""


class VcsError(Exception):
    """The tool failed in a way that has no name of its own here."""


class Unreachable(VcsError):
    """The remote does not answer, or not now: worth another try later."""


class Forbidden(VcsError):
    """The remote wants other credentials, or its host key is not the known one."""


class NotARepository(VcsError):
    """There is something else, or nothing, where the repository should be."""


class UnknownRevision(VcsError):
    """No commit has this name, or more than one has it."""


class MissingFile(VcsError):
    """The revision has no such file, or a link that leads nowhere inside the repository."""


class Killed(VcsError):
    """Somebody ended the tool."""


class Damaged(VcsError):
    """The mirror holds other bytes than were written into it, or too few: it must be made anew."""


class LeftLocked(VcsError):
    """A tool that was killed left a lock of its own behind."""


class TooLarge(VcsError):
    """The answer is longer than the caller wants to hold."""


class TimedOut(VcsError):
    """The tool, or another holder of the mirror, took longer than allowed."""


class PatchDoesNotApply(VcsError):
    """The diff does not fit this work tree."""


class BadName(VcsError):
    """A URL, revision or path that is not even handed to the tool."""


class ToolMissing(VcsError):
    """git or hg is not installed here."""
