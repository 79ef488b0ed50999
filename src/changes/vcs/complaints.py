"""What the complaints of git and hg mean, told by their words; pure."""

import re
import signal
from collections.abc import Mapping

from changes.vcs import errors, names
from changes.vcs.run import Finished

SHOWN_MAX_CHARS = 600
OTHER_HOST_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"

Meanings = Mapping[type[errors.VcsError], tuple[str, ...]]

# In each table the first meaning with a fitting pattern wins.
GIT: Meanings = {
    errors.LeftLocked: (r"Unable to create '.*\.lock': File exists", "cannot lock ref"),
    errors.Damaged: (
        "object file .* is empty",
        "object .* is corrupt",
        "packfile .* (is far too short|cannot be|is not a|claims to)",
        "(pack|index) file .* (is too small|has bad|is corrupt|is of version)",
        "unable to (read|parse) (sha1 file|tree|object)",
        "could not read [0-9a-f]{40}",
        "inflate: data stream error",
        "did not send all necessary objects",
        "bad (config line|config file line)",
        "unable to unpack",
        "missing (blob|tree|necessary objects)",
        "garbage at end of loose object",
    ),
    errors.Forbidden: (
        "Authentication failed",
        "could not read (Username|Password)",
        "terminal prompts disabled",
        "Permission denied",
        "Host key verification failed",
        "returned error: 40[13]",
        "HTTP Basic: Access denied",
    ),
    errors.UnknownRevision: (
        "bad object",
        "bad revision",
        "unknown revision",
        "[Nn]ot a valid (object|commit)",
        "no such commit",
        "failed to unpack tree object",
        "couldn't find remote ref",
        "not our ref",
        "unadvertised object",
    ),
    errors.NotARepository: (
        "does not appear to be a git repository",
        "not a git repository",
        "[Rr]epository .*not found",
        "repository .*does not exist",
        "not valid: is this a git repository",
        "invalid gitfile format",
    ),
    # It ends many complaints, so it comes last.
    errors.Unreachable: (
        "Could not read from remote repository",
        "unable to access",
        "unable to connect",
        "Could not resolve host",
        "Connection (refused|reset)",
        "timed out",
        "hung up unexpectedly",
        "Broken pipe",
        "early EOF",
        "RPC failed",
    ),
}
HG: Meanings = {
    errors.LeftLocked: ("abandoned transaction",),
    errors.Damaged: (
        "integrity check failed",
        "data/.*: no match found",
        "00(changelog|manifest)\\.[id].*(no match|no node|index .* is corrupted)",
        "index .* is corrupted",
        "unknown (revlog|compression) ",
        "repository requires features unknown",
        "partial read of revlog",
    ),
    errors.Forbidden: (
        "authorization failed",
        "http authorization required",
        "HTTP Error 40[13]",
        "Permission denied",
        "Host key verification failed",
    ),
    errors.UnknownRevision: (
        "unknown revision",
        "unknown branch",
        "ambiguous identifier",
        "no such revision",
        "(hidden|filtered) revision",
    ),
    errors.NotARepository: (
        "repository .*not found",
        "does not appear to be an hg repository",
        "HTTP Error 404",
    ),
    errors.MissingFile: ("no such file in rev",),
    errors.Unreachable: (
        "abort: error: ",
        "no suitable response from remote hg",
        "HTTP Error 5",
        "Connection (refused|reset)",
        "timed out",
        "stream ended unexpectedly",
    ),
}


def raise_failure(finished: Finished, meanings: Meanings, secrets: tuple[str, ...]) -> None:
    """Does nothing after a success."""
    if finished.exit_code == -signal.SIGPIPE:
        raise errors.Unreachable("the other side hung up")
    if finished.exit_code < 0:
        raise errors.Killed(f"the tool was ended by signal {-finished.exit_code}")
    if finished.exit_code:
        raise meaning(finished.complaint, meanings)(words(finished, secrets))


def meaning(complaint: str, meanings: Meanings) -> type[errors.VcsError]:
    for error, patterns in meanings.items():
        if any(re.search(pattern, complaint) for pattern in patterns):
            return error
    return errors.VcsError


def words(finished: Finished, secrets: tuple[str, ...]) -> str:
    """The complaint as people may see it: short and without secrets."""
    complaint = names.mask(finished.complaint, secrets)
    if OTHER_HOST_KEY in complaint:
        # ssh shouts for a screen before it says so.
        fingerprint = re.search(r"SHA256:\S+", complaint)
        found = f" Its fingerprint now: {fingerprint[0]}" if fingerprint else ""
        return f"The server has another host key than the known one.{found}"
    return complaint[:SHOWN_MAX_CHARS] or f"the tool ended with {finished.exit_code}"
