"""A service begins although its database does not answer yet, and ends if it never does."""

from pathlib import Path

import pytest

from fault_injection import StartingPostgres
from kurswerk.bootstrap import service
from kurswerk.bootstrap.service import open_service
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.storage.server import Database


def test_a_database_that_is_restarted_is_waited_for(database: Database, tmp_path: Path):
    with StartingPostgres(database, silent_s=0.5, refused=2).listening() as url:
        started, watch = open_service(Settings(data_dir=tmp_path, database_url=url))
        assert started.database.check()
        assert watch == []
        started.database.close()


def test_a_database_that_stays_away_is_named(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "_DATABASE_PATIENCE_S", 0.3)
    with (
        StartingPostgres(database, silent_s=600.0).listening() as url,
        pytest.raises(DatabaseUnavailableError, match=r"on 127\.0"),
    ):
        open_service(Settings(data_dir=tmp_path, database_url=url))
