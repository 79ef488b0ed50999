"""Settings of a home whose databases are the embedded ones: their addresses follow from the folder."""

from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres
from changes.app.embedded.valkey import Valkey
from changes.base.settings import Settings


def with_embedded(settings: Settings) -> Settings:
    """What is not given by URL is the server that `changes up` runs on this home."""
    home = Home(settings.home)
    return settings.model_copy(
        update={
            "database_url": settings.database_url or Postgres(home).url,
            "broker_url": settings.broker_url or Valkey(home).url,
        }
    )
