"""changes secret: what trusted steps of a project get as variables, and nobody else sees."""

import getpass
from typing import Annotated

import typer

from changes.app.cli import server as servers
from changes.app.cli.asking import AsJson
from changes.app.cli.output import minute_of, say_json, table, tell
from changes.app.cli.repositories import content_of

secret = typer.Typer(
    no_args_is_help=True, help="What trusted steps of a project get as variables, and nobody else sees."
)
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Short name of the project.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the variable.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(secret, name="secret")


@secret.command("set")
def keep(
    project: Project,
    name: Name,
    file: Annotated[
        str, typer.Option(help="File with the value, - for standard input; else it is asked.")
    ] = "",
) -> None:
    """Store a secret, in place of what was there under its name. It is never shown again."""
    # Never an argument: those of a program can be read by everybody on the machine.
    value = content_of(file) if file else getpass.getpass("Value: ")
    # The end of a file's only line is no part of what it holds; a key of many lines keeps its last one.
    if value.count("\n") == 1:
        value = value.removesuffix("\n")
    servers.connect().post(f"/projects/{project}/secrets/", {"name": name, "value": value})
    tell(f"{name} is kept. Steps get it that name it under `secrets`.")


@secret.command("list")
def list_secrets(project: Project, as_json: AsJson = False) -> None:
    """Show the names, and since when each has its value."""
    found = servers.connect().get(f"/projects/{project}/secrets/")
    if as_json:
        say_json(found)
        return
    table(["NAME", "SET (UTC)"], [(each["name"], minute_of(each["dateModified"])) for each in found])


@secret.command()
def remove(project: Project, name: Name) -> None:
    """Forget a secret."""
    servers.connect().ask("DELETE", f"/projects/{project}/secrets/{name}/")
    tell("Removed.")
