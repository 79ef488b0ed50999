"""What a git that was killed leaves in a mirror, where it would stop or burden the next one."""

import shutil
from pathlib import Path


def remove_locks(mirror_path: Path) -> None:
    for lock in (*mirror_path.glob("*.lock"), *(mirror_path / "refs").rglob("*.lock")):
        lock.unlink(missing_ok=True)


def remove_packs(mirror_path: Path) -> None:
    """Each may be as large as the repository."""
    packs = mirror_path / "objects" / "pack"
    for path in packs.glob("tmp_*"):
        path.unlink(missing_ok=True)
    # Where git keeps what it received until it is checked.
    for folder in (mirror_path / "objects").glob("tmp_objdir-*"):
        shutil.rmtree(folder, ignore_errors=True)
