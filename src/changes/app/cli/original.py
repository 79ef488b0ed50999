"""changes original-agent-url: addresses that let schedulers and agents of the original in."""

from enum import StrEnum
from typing import Annotated

import typer

from changes.app.cli.admin import AsJson, transaction
from changes.app.cli.output import say, say_json, table

group = typer.Typer(no_args_is_help=True, help="Addresses for schedulers and agents of the original Changes.")


class UseName(StrEnum):
    ALLOCATE = "allocate"
    AGENT = "agent"


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="original-agent-url")


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Which scheduler it is for.")],
    use: Annotated[
        UseName, typer.Option(help="allocate: for a scheduler; agent: for agents that have one address.")
    ] = UseName.ALLOCATE,
    as_json: AsJson = False,
) -> None:
    """Make an address that lets one scheduler in, or its agents. It is shown once."""
    from changes.app import starting
    from changes.base import settings
    from changes.builds.original import keys
    from changes.builds.original.models import KeyUse

    with transaction() as session:
        made = keys.make(session, name, KeyUse[use.name])
    url = starting.running_address(settings.load()).rstrip("/") + keys.path_of(made.secret)
    say_json({"url": url, "id": made.id.hex}) if as_json else say(url)


@group.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All of them, newest first; the addresses themselves are not kept."""
    from changes.builds.original import keys

    with transaction() as session:
        found = [
            {
                "id": each.id.hex,
                "name": each.name,
                "use": each.use.name.lower(),
                "dateLastUsed": str(each.date_last_used or ""),
                "revoked": each.date_revoked is not None,
            }
            for each in keys.found(session)
        ]
    if as_json:
        say_json(found)
    else:
        rows = [
            (each["id"], each["name"], each["use"], each["dateLastUsed"], "yes" if each["revoked"] else "")
            for each in found
        ]
        table(["ID", "NAME", "FOR", "LAST USED", "REVOKED"], rows)


@group.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id, as `changes original-agent-url list` shows it.")],
) -> None:
    """Close an address at once and for good, and those of the steps that were taken with it."""
    from changes.base import ids
    from changes.builds.original import keys

    with transaction() as session:
        keys.revoke(session, ids.parse(key_id))
