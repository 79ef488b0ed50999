"""changes repository: where code comes from, and how it is entered."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import WRONG_USAGE, fail, say, say_json, table, tell
from changes.app.cli.server import Server

repository = typer.Typer(no_args_is_help=True, help="Where code comes from, and how it is entered.")
Which = Annotated[str, typer.Argument(metavar="URL", help="Address of the repository, or its id.")]
ID_CHARS = 32
FROM_STDIN = "-"


def add_to(app: typer.Typer) -> None:
    app.add_typer(repository, name="repository")


@repository.command("list")
def list_repositories(as_json: AsJson = False) -> None:
    """Show all repositories and how reading them went."""
    found = servers.connect().get("/repositories/", per_page=100)
    if as_json:
        say_json(found)
        return
    rows = [(each["url"], each["status"]["name"], each["lastError"] or "") for each in found]
    table(["URL", "STATE", "LAST ERROR"], rows)


@repository.command()
def add(
    url: Annotated[str, typer.Argument(help="Where it is.")],
    backend: Annotated[str, typer.Option(help="git or hg.")] = "git",
    as_json: AsJson = False,
) -> None:
    """Make a repository known before any project builds it, for instance to give credentials first."""
    made = servers.connect().post("/repositories/", {"url": url, "backend": backend})
    say_json(made) if as_json else say(made["id"])


@repository.command()
def sync(which: Which) -> None:
    """Look at once whether there is anything new in a repository."""
    asked = servers.connect()
    asked.post(f"/repositories/{id_of(asked, which)}/sync/", {})
    tell("It is looked at now.")


@repository.command()
def hook(which: Which) -> None:
    """Print the address and the secret of the webhook of a repository."""
    asked = servers.connect()
    found = asked.get(f"/repositories/{id_of(asked, which)}/hook/")
    say(found["url"])
    say(found["secret"])


@repository.command()
def password(
    which: Which,
    user: Annotated[str, typer.Option(help="Rarely matters with a token.")] = "",
    file: Annotated[
        str, typer.Option(help="File with the password or token, - for standard input; else it is asked.")
    ] = "",
    shared: Annotated[
        bool, typer.Option("--shared", help="Also for projects that check it out beside their own.")
    ] = False,
) -> None:
    """Store the password or token that opens an http or https repository. It is never shown again."""
    # Never an argument: those of a program can be read by everybody on the machine.
    secret = content_of(file) if file else getpass.getpass("Password or token: ")
    give(which, {"username": user, "password": secret.strip(), "shared": shared})


@repository.command()
def key(
    which: Which,
    file: Annotated[
        str, typer.Option(help="File with the private key, - for standard input; without it one is made.")
    ] = "",
    known_hosts: Annotated[
        Path | None, typer.Option(help="File with what ssh-keyscan prints for the server.")
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Also for projects that check it out beside their own.")
    ] = False,
) -> None:
    """Store or make the SSH key that opens a repository; prints the public half, for its server."""
    fields: dict[str, object] = {"shared": shared}
    fields |= {"ssh_key": content_of(file)} if file else {"make_key": True}
    if known_hosts is not None:
        fields["known_hosts"] = content_of(str(known_hosts))
    say(give(which, fields)["publicKey"])


@repository.command()
def forget(which: Which) -> None:
    """Remove the password or key that is stored for a repository."""
    asked = servers.connect()
    asked.ask("DELETE", f"/repositories/{id_of(asked, which)}/credentials/")
    tell("Removed.")


def give(which: str, fields: dict[str, object]) -> Any:
    asked = servers.connect()
    kept = asked.post(f"/repositories/{id_of(asked, which)}/credentials/", fields)
    tell(f"Stored for {kept['server']}. The repository is being read.")
    return kept


def content_of(name: str) -> str:
    try:
        return sys.stdin.read() if name == FROM_STDIN else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{name} cannot be read: {error}", WRONG_USAGE)


def id_of(asked: Server, which: str) -> str:
    if len(which) == ID_CHARS and which.isalnum():
        return which
    found = asked.get("/repositories/", query=which, status="", per_page=100)
    for each in found:
        if each["url"] == which:
            return str(each["id"])
    return fail(f"No repository has the address {which}; `changes repository list` shows all.", WRONG_USAGE)
