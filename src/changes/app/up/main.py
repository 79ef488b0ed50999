"""Everything behind `changes up`: databases, migrations, then the programs, until Ctrl-C."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from changes.app.embedded import errors
from changes.app.embedded.errors import StartInterrupted, StartRefused
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres
from changes.app.embedded.valkey import Valkey
from changes.app.up import address, previous
from changes.app.up.children import Child, environment
from changes.app.up.output import Terminal
from changes.app.up.signals import StopSignals
from changes.app.up.supervise import Supervisor

POLL_S = 0.02
READY_WITHIN_S = 60
WEB = "web"
WEB_DEATHS_MAX = 3


@dataclass(frozen=True)
class UpOptions:
    """Without `database_url` and `broker_url` the embedded servers are used."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 5000
    database_url: str | None = None
    broker_url: str | None = None
    extra_env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Steps:
    """What the caller adds: `prepare` once the databases answer (migrations, first rows),
    `ready` once the web server answers. Both get the environment that the children have.
    """

    prepare: Callable[[dict[str, str]], None]
    ready: Callable[[dict[str, str]], None]


class PreparationFailed(StartRefused):
    """The databases are up, and what has to be in them could not be put there."""


class WebSilent(StartRefused):
    """The web server does not answer."""


def run(options: UpOptions, children: Sequence[Child], steps: Steps) -> int:
    """Run until told to stop; the exit code. One of the children must be named `web`."""
    with StopSignals() as signals:
        try:
            _run(options, children, steps, signals)
        except StartInterrupted:
            return 0
        except StartRefused as refusal:
            return _refuse(refusal)
        except OSError as error:
            refusal_of_system = errors.refusal_of(error, options.home)
            if refusal_of_system is None:
                raise
            return _refuse(refusal_of_system)
    return 0


def _refuse(refusal: StartRefused) -> int:
    sys.stderr.write(f"changes: {refusal}\n")
    return 1


def _run(options: UpOptions, children: Sequence[Child], steps: Steps, signals: StopSignals) -> None:
    terminal = Terminal()
    with Home(options.home) as home:
        supervisor = Supervisor(home, terminal, signals)
        try:
            _end_previous_run(home, terminal)
            address.refuse_taken_port(options.host, options.port)
            for line in _progress(options, home):
                terminal.say(line)
            servers, env = _servers(options, home, signals)
            # They need a second for their imports, and wait for the database by themselves.
            supervisor.start_children([child for child in children if not child.after_web], env)
            for server in servers:
                supervisor.start_server(server)
            _prepare(steps, env, signals)
            terminal.say(f"Starting {', '.join(child.name for child in children)} ...")
            _wait_for_web(options, home, supervisor)
            supervisor.start_children([child for child in children if child.after_web], env)
            with signals.interrupting():
                steps.ready(env)
            supervisor.watch_until(lambda: False)
            terminal.say("Stopping ...")
        finally:
            supervisor.stop_everything()


def _end_previous_run(home: Home, terminal: Terminal) -> None:
    names = previous.end_all(home.path)
    if names:
        terminal.say(f"Ended what an earlier run left behind: {', '.join(names)}.")


def _progress(options: UpOptions, home: Home) -> Iterator[str]:
    """What is about to take its time."""
    if options.database_url is None:
        verb = "Making a database" if Postgres(home).is_new else "Starting the database"
        yield f"{verb} in {home.path} ..."


def _servers(
    options: UpOptions, home: Home, signals: StopSignals
) -> tuple[list[Postgres | Valkey], dict[str, str]]:
    """Those to start, and what the programs have to know: the addresses follow from the home."""
    postgres = Postgres(home, give_up=signals.asked_to_stop)
    valkey = Valkey(home, give_up=signals.asked_to_stop)
    wanted: list[Postgres | Valkey] = []
    for server, url in ((postgres, options.database_url), (valkey, options.broker_url)):
        if url is None:
            wanted.append(server)
        else:
            # One of an earlier run without this URL, whose supervisor was killed.
            server.stop()
    own = {
        "DATABASE_URL": options.database_url or postgres.url,
        "BROKER_URL": options.broker_url or valkey.url,
        "CHANGES_HOME": str(home.path),
        "HOST": options.host,
        "PORT": str(options.port),
    }
    return wanted, environment(options.extra_env, own)


def _prepare(steps: Steps, env: dict[str, str], signals: StopSignals) -> None:
    try:
        with signals.interrupting():
            steps.prepare(env)
    except subprocess.CalledProcessError as error:
        raise PreparationFailed(
            f"The database could not be prepared (exit code {error.returncode}): mend what the lines above"
            " complain about and start again."
        ) from error


def _wait_for_web(options: UpOptions, home: Home, supervisor: Supervisor) -> None:
    give_up_at = time.monotonic() + READY_WITHIN_S

    def is_decided() -> bool:
        if supervisor.deaths_of(WEB) >= WEB_DEATHS_MAX or time.monotonic() > give_up_at:
            raise WebSilent(f"The web server does not start: read {home.logs / WEB}.log for the reason.")
        return address.is_healthy(options.host, options.port)

    supervisor.watch_until(is_decided, look_every_s=POLL_S)
