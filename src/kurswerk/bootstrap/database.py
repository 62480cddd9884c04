"""The database as a whole: where it is, its revision, its tables, its feed."""

from collections.abc import Sequence

from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import ConflictError
from kurswerk.market import MarketSchema
from kurswerk.serving import MissingColumn
from kurswerk.storage.adoption import Adoption, adopt, plan_adoption
from kurswerk.storage.feed import install_feed, remove_feed
from kurswerk.storage.markets import missing_columns
from kurswerk.storage.server import (
    Database,
    EmbeddedPostgres,
    SchemaStatus,
    UrlSource,
    current_revision,
    schema_status,
    upgrade,
)

__all__ = ["Adoption", "DatabaseAdministration", "database_source"]


def database_source(settings: Settings) -> UrlSource:
    """Return where the configured database is, or start the embedded one and return its URL."""
    return settings.database_source or EmbeddedPostgres(settings.data_dir).start()


class DatabaseAdministration:
    """Prepares, inspects and stops the database that the settings name; an embedded one is started where it is needed.

    ``str()`` gives what people may see of its address.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None

    def __str__(self) -> str:
        return str(self._opened())

    @property
    def running(self) -> bool:
        """Whether it runs; one of somebody else's is taken to."""
        settings = self._settings
        return settings.database_url is not None or EmbeddedPostgres(settings.data_dir).status().running

    @property
    def url(self) -> str:
        """The URL, with the password."""
        return self._opened().url

    @property
    def revision(self) -> str | None:
        """The revision of its tables; None without any."""
        return current_revision(self._opened())

    def upgrade(self) -> bool:
        """Create or migrate all tables; return whether that changed anything."""
        return upgrade(self._opened())

    def plan_adoption(self) -> Adoption:
        """Return what `adopt` would do; changes nothing."""
        return plan_adoption(self._opened())

    def adopt(self) -> Adoption:
        """Take over the tables of an older service, all or nothing.

        Raises
        ------
        ConflictError
            If others work with them, or they are none of an older service.
        """
        return adopt(self._opened())

    def status(self) -> SchemaStatus:
        """Return its revision and its tables."""
        return schema_status(self._opened())

    def missing_columns(self) -> Sequence[MissingColumn]:
        """Return the columns that active models need and it lacks."""
        return missing_columns(self._opened())

    def install_feed(self, market: MarketSchema) -> bool:
        """Put triggers on a market's table that feed new rows to the predictor; return whether they were missing."""
        return install_feed(self._opened(), market)

    def remove_feed(self, market: MarketSchema) -> bool:
        """Remove them; return whether there were any."""
        return remove_feed(self._opened(), market)

    def stop(self) -> bool:
        """Stop the embedded database; return whether it ran.

        Raises
        ------
        ConflictError
            If the settings name another one.
        """
        if self._settings.database_url is not None:
            raise ConflictError("database.external")
        return EmbeddedPostgres(self._settings.data_dir).stop()

    def _opened(self) -> Database:
        self._database = self._database or Database(database_source(self._settings))
        return self._database
