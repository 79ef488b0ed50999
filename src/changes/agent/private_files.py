"""Files that open doors: left out of artifacts unless a pattern is their very name. Pure."""

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

# Repositories hold all of the history, and whatever credentials were typed into their configuration.
REPOSITORY_FOLDERS = frozenset({".git", ".hg", ".svn", ".bzr"})
PRIVATE_FOLDERS = REPOSITORY_FOLDERS | {".ssh", ".gnupg", ".aws", ".docker", ".kube"}
PRIVATE_NAMES = (
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk", "*.ppk",
    ".netrc", "_netrc", ".git-credentials", ".pgpass", ".my.cnf", ".pypirc", ".npmrc", ".htpasswd",
    "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
)  # fmt: skip
# They may be certificates, which everybody may read; the first bytes tell.
PERHAPS_PRIVATE = ("*.pem", "*.key")
KEY_MARK = b"PRIVATE KEY-----"
LOOKED_AT_BYTES = 4096
WILD = frozenset("*?[")


def exact_paths(patterns: Collection[str]) -> set[str]:
    """What is named without any sign that stands for several; a bare name stands at the top."""
    plain = (pattern.removeprefix("./").lstrip("/") for pattern in patterns)
    return {path for path in plain if path and not WILD & set(path)}


def is_private(path: str, patterns: Collection[str]) -> bool:
    """By its name alone."""
    parts = PurePosixPath(path).parts
    if is_forced(path, patterns):
        return False
    return bool(PRIVATE_FOLDERS & set(parts[:-1])) or _fits(parts[-1], PRIVATE_NAMES)


def is_forced(path: str, patterns: Collection[str]) -> bool:
    """Below a private folder only its whole path will do; elsewhere its name is enough."""
    exact = exact_paths(patterns)
    parts = PurePosixPath(path).parts
    is_below = bool(PRIVATE_FOLDERS & set(parts[:-1]))
    return path in exact or (not is_below and parts[-1] in exact)


def may_hold_forced(folder: str, patterns: Collection[str]) -> bool:
    """Whether it is worth looking into this private folder."""
    return any(path.startswith(f"{folder}/") for path in exact_paths(patterns))


def is_key(path: str, begins_with: bytes, patterns: Collection[str]) -> bool:
    name = PurePosixPath(path).name
    return (
        _fits(name, PERHAPS_PRIVATE)
        and KEY_MARK in begins_with[:LOOKED_AT_BYTES]
        and not is_forced(path, patterns)
    )


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
