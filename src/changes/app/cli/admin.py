"""changes db | user | token | agent-token: for whoever runs the system. They touch the database."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from changes.app.cli.output import WRONG_USAGE, fail, say, say_json, table, tell
from changes.app.cli.programs import known_errors

if TYPE_CHECKING:
    from changes.base.db import Session

db = typer.Typer(no_args_is_help=True, help="Schema of the database.")
user = typer.Typer(no_args_is_help=True, help="Who may sign in.")
token = typer.Typer(no_args_is_help=True, help="Keys for programs.")


class ScopeName(StrEnum):
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


def add_to(app: typer.Typer) -> None:
    app.add_typer(db, name="db")
    app.add_typer(user, name="user")
    app.add_typer(token, name="token")
    app.command("agent-token")(agent_token)


AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


@contextmanager
def transaction() -> Iterator["Session"]:
    """A transaction on the database of the system that runs on this home."""
    from changes.app import starting
    from changes.base.db import Database

    with known_errors():
        database = Database(starting.database_url(), pool_size=1)
        try:
            with database.transaction() as session:
                yield session
        finally:
            database.close()


@db.command()
def upgrade() -> None:
    """Bring the schema to this version; does nothing when it is there."""
    from changes.app import migrate, starting

    with known_errors():
        migrate.upgrade(starting.database_url())


@db.command()
def check() -> None:
    """Say whether the database is what this version expects."""
    from changes.app import migrate, starting

    with known_errors():
        migrate.check(starting.database_url())
    say("The database is up to date.")


@db.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete everything in the database and make it anew."""
    from changes.app import migrate, starting

    if not yes and not (sys.stdin.isatty() and typer.confirm("Delete all builds, projects and users?")):
        fail("Nothing was deleted. --yes means it.", WRONG_USAGE)
    with known_errors():
        migrate.reset(starting.database_url())
    tell("The database is empty and up to date.")


@user.command("create")
def create_user(
    email: str,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Also set a password: the first line of standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let somebody in; prints a link that signs them in once."""
    from changes.people import passwords, users

    password = first_line() if password_stdin else None
    with transaction() as session:
        made = users.create(session, email, is_admin=admin)
        if password is not None:
            passwords.set_password(made, password)
        link = link_for(session, made.email)
    say_json({"email": email, "link": link}) if as_json else say(link)


@user.command("password")
def set_password(email: str) -> None:
    """Set somebody's password: asked for, or the first line of standard input. Signs them out everywhere."""
    from changes.people import passwords, sessions, users

    password = asked_password() if sys.stdin.isatty() else first_line()
    with transaction() as session:
        found = users.by_email(session, email)
        passwords.set_password(found, password)
        sessions.end_all(session, found)
    tell(f"The password of {email} is set.")


def asked_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True))


def first_line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


@user.command("link")
def make_link(email: str, as_json: AsJson = False) -> None:
    """Print a link that signs somebody in, once, within an hour."""
    with transaction() as session:
        link = link_for(session, email)
    say_json({"email": email, "link": link}) if as_json else say(link)


def link_for(session: "Session", email: str) -> str:
    from changes.app import starting
    from changes.people import users

    return starting.sign_in_url(users.make_link(session, users.by_email(session, email)))


@user.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Everybody who may sign in."""
    from changes.base.paging import Page
    from changes.people import queries

    with transaction() as session:
        found = [
            (each.email, each.is_admin, each.date_disabled is not None)
            for each in queries.users(session, Page(size=10_000)).rows
        ]
    if as_json:
        say_json([{"email": email, "isAdmin": is_admin, "disabled": off} for email, is_admin, off in found])
    else:
        rows = [(email, "yes" if is_admin else "", "yes" if off else "") for email, is_admin, off in found]
        table(["EMAIL", "ADMIN", "DISABLED"], rows)


@token.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[ScopeName, typer.Option(help="What it may do.")] = ScopeName.READ,
    as_json: AsJson = False,
) -> None:
    """Make a key for a program. It is shown once; only its digest is kept."""
    from changes.people import tokens
    from changes.people.rules import Scope

    with transaction() as session:
        made = tokens.create(session, name, Scope[scope.name])
    say_json({"token": made.secret, "id": made.id.hex}) if as_json else say(made.secret)


@token.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """All keys, newest first; the keys themselves are not kept."""
    from changes.base.paging import Page
    from changes.people import queries

    with transaction() as session:
        rows = [
            (
                each.id.hex,
                each.name,
                each.scope.name.lower(),
                str(each.date_last_used or ""),
                bool(each.date_revoked),
            )
            for each in queries.tokens(session, Page(size=1000)).rows
        ]
    if as_json:
        say_json(
            [{"id": i, "name": n, "scope": s, "dateLastUsed": u, "revoked": r} for i, n, s, u, r in rows]
        )
    else:
        table(
            ["ID", "NAME", "SCOPE", "LAST USED", "REVOKED"],
            [(*row[:4], "yes" if row[4] else "") for row in rows],
        )


@token.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="Id, as `changes token list` shows it.")],
) -> None:
    """Make a key useless, at once and for good."""
    from changes.base import ids
    from changes.people import tokens

    with transaction() as session:
        tokens.revoke(session, ids.parse(token_id))


def agent_token(as_json: AsJson = False) -> None:
    """Print a one-time token that lets one new agent in, within a day."""
    from changes.builds import nodes

    with transaction() as session:
        secret = nodes.make_enrolment_token(session)
    say_json({"token": secret}) if as_json else say(secret)
