"""What an agent is told on its command line, in the environment, in a file: the first of them counts."""

import argparse
import os
import socket
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changes.agent import accounts
from changes.agent.errors import BadOptions

DEFAULT_HOME = Path("~/.changes-agent")
# The home of root is closed to the account that steps run as.
HOME_OF_ROOT = Path("/var/lib/changes-agent")
KEEP_FREE_MB = 100
STDIN = "-"
SLOTS_MAX = 1024
STOP_AFTER_MAX_S = 7 * 24 * 3600
# systemd puts credentials of a unit into a folder that only this unit can read.
CREDENTIALS_VARIABLE, CREDENTIAL = "CREDENTIALS_DIRECTORY", "enrol-token"
VARIABLES = {
    "server": "CHANGES_SERVER",
    "home": "CHANGES_AGENT_HOME",
    "config": "CHANGES_AGENT_CONFIG",
    "enrol": "CHANGES_ENROL_TOKEN",
    "enrol_file": "CHANGES_ENROL_TOKEN_FILE",
    "sandbox": "CHANGES_AGENT_SANDBOX",
    "step_account": "CHANGES_STEP_ACCOUNT",
}
IN_FILE = (
    "server",
    "home",
    "name",
    "slots",
    "labels",
    "enrol_file",
    "stop_after_s",
    "keep_free_mb",
    "sandbox",
    "step_account",
)
EPILOG = """\
The file of --config is TOML with the keys server, home, name, slots, labels (a table), enrol_file,
stop_after_s, keep_free_mb, sandbox and step_account; SIGHUP makes the agent read it again, all but the
server, the home and the account. SIGTERM ends it: running steps get
--stop-after seconds to finish and are given back then; a second SIGTERM gives them back at once.
Exit codes: 0 stopped, 2 wrong usage, 3 refused or not enrolled (starting again does not help).
"""


@dataclass(frozen=True)
class AgentOptions:
    server: str
    home: Path = DEFAULT_HOME
    name: str = field(default_factory=socket.gethostname)
    slots: int = 1
    labels: dict[str, str] = field(default_factory=dict)
    enrolment_token: str = field(default="", repr=False)
    enrolment_file: str = ""
    stop_after_s: float = 0.0
    keep_free_mb: int = KEEP_FREE_MB
    # For steps that do not say; and the account of steps where the agent is root. Empty = the usual ones.
    sandbox: str = ""
    step_account: str = ""


def parse(arguments: list[str], env: Mapping[str, str] = os.environ) -> AgentOptions:
    """Raises BadOptions for what a file says; what the command line says wrong ends the program."""
    parser = _parser()
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    of_environment = {name: env[variable] for name, variable in VARIABLES.items() if env.get(variable)}
    said = {**of_environment, **given}
    # Of two ways to give the token the nearer one counts.
    if "enrol" in given:
        said.pop("enrol_file", None)
    if "enrol_file" in given:
        said.pop("enrol", None)
    said = {**(_read_file(Path(said["config"])) if "config" in said else {}), **said}
    if not said.get("server"):
        parser.error("the address of the server is missing: --server, CHANGES_SERVER, or `server` in a file")
    return _options(said, env)


def _options(said: dict[str, Any], env: Mapping[str, str]) -> AgentOptions:
    credential = Path(env[CREDENTIALS_VARIABLE]) / CREDENTIAL if env.get(CREDENTIALS_VARIABLE) else None
    return AgentOptions(
        server=said["server"].rstrip("/"),
        home=Path(said.get("home", default_home())).expanduser().absolute(),
        name=said.get("name") or socket.gethostname(),
        slots=said.get("slots") or os.cpu_count() or 1,
        labels=dict(said.get("labels", {})),
        enrolment_token=said.get("enrol", ""),
        enrolment_file=str(
            said.get("enrol_file") or (credential if credential and credential.exists() else "")
        ),
        stop_after_s=said.get("stop_after_s", 0.0),
        keep_free_mb=said.get("keep_free_mb", KEEP_FREE_MB),
        sandbox=said.get("sandbox", ""),
        step_account=said.get("step_account", ""),
    )


def default_home() -> Path:
    return HOME_OF_ROOT if os.geteuid() == accounts.ROOT else DEFAULT_HOME


def enrolment_token_of(options: AgentOptions) -> str:
    """Read only when it is needed: the file of a one-time token may be gone once it was used."""
    if options.enrolment_token or not options.enrolment_file:
        return options.enrolment_token
    try:
        if options.enrolment_file == STDIN:
            return sys.stdin.readline().strip()
        return Path(options.enrolment_file).read_text().strip()
    except (OSError, ValueError) as error:
        raise BadOptions(f"The one-time token cannot be read: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="changes-agent",
        description="Runs build steps for a Changes server.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", metavar="URL", help="address of the server (or CHANGES_SERVER)")
    parser.add_argument("--config", metavar="FILE", help="settings of this machine (or CHANGES_AGENT_CONFIG)")
    parser.add_argument(
        "--home", metavar="FOLDER", help=f"for mirrors and steps (or CHANGES_AGENT_HOME; {default_home()})"
    )
    parser.add_argument("--name", help="how people call this machine (its host name)")
    parser.add_argument("--slots", type=_slots, help="steps to run at a time (one for each processor)")
    parser.add_argument(
        "--label",
        type=_label,
        action="append",
        dest="labels",
        metavar="KEY=VALUE",
        help="what this machine offers, as often as needed",
    )
    _add_token(parser)
    _add_work(parser)
    return parser


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--enrol-file",
        metavar="FILE",
        help="holds the one-time token, needed at the first start only; - is standard input"
        " (or CHANGES_ENROL_TOKEN_FILE)",
    )
    parser.add_argument(
        "--enrol",
        metavar="TOKEN",
        help="the token itself (or CHANGES_ENROL_TOKEN); everybody on this machine can read a command line",
    )


def _add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop-after",
        type=_seconds,
        dest="stop_after_s",
        metavar="SECONDS",
        help="when told to stop, let running steps finish for so long (0: give them back at once)",
    )
    parser.add_argument(
        "--keep-free",
        type=_megabytes,
        dest="keep_free_mb",
        metavar="MB",
        help=f"take no steps while the disk has less room than this ({KEEP_FREE_MB})",
    )
    parser.add_argument(
        "--sandbox",
        choices=["process", "bubblewrap"],
        help="for steps that do not say (bubblewrap where it works; or CHANGES_AGENT_SANDBOX)",
    )
    parser.add_argument(
        "--step-account",
        metavar="NAME",
        help=f"whom steps run as where the agent is root (or CHANGES_STEP_ACCOUNT; {accounts.DEFAULT_NAME})",
    )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        told = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadOptions(f"{path} cannot be read: {error}") from error
    wrong = sorted(set(told) - set(IN_FILE))
    if wrong:
        raise BadOptions(f"{path} has unknown keys: {', '.join(wrong)}. Allowed: {', '.join(IN_FILE)}.")
    for name in ("server", "home", "name", "enrol_file", "sandbox", "step_account"):
        if not isinstance(told.get(name, ""), str):
            raise BadOptions(f"{path}: {name} must be text.")
    return told | _numbers(path, told) | _labels(path, told)


def _numbers(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    readers = {"slots": _slots, "stop_after_s": _seconds, "keep_free_mb": _megabytes}
    found: dict[str, Any] = {}
    for name, read in readers.items():
        if name in told:
            try:
                found[name] = read(str(told[name]))
            except (ValueError, argparse.ArgumentTypeError) as error:
                raise BadOptions(f"{path}: {name} is wrong: {error}.") from error
    return found


def _labels(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    labels = told.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise BadOptions(f"{path}: labels must be a table of texts.")
    return {"labels": labels} if labels else {}


def _slots(text: str) -> int:
    return int(_between(text, 1, SLOTS_MAX))


def _seconds(text: str) -> float:
    return _between(text, 0, STOP_AFTER_MAX_S)


def _megabytes(text: str) -> int:
    return int(_between(text, 0, 2**30))


def _between(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
    return number


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
