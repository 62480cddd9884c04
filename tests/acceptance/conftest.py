"""A data directory of its own for the tests that run the command line as a user does."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from guide_pages import write_candles
from kurswerk.storage.server import EmbeddedPostgres
from server_folders import server_folder


@pytest.fixture(scope="session")
def embedded_data_dir() -> Iterator[Path]:
    """An empty KURSWERK_DATA_DIR whose embedded server, once a command started it, is stopped at the end."""
    folder = server_folder("kurswerk-acceptance-")
    yield folder
    EmbeddedPostgres(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, to be killed."""
    folder = server_folder("kurswerk-chaos-")
    server = EmbeddedPostgres(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workplace(tmp_path, embedded_data_dir):
    write_candles(tmp_path / "candles.csv")
    return tmp_path, os.environ | {"KURSWERK_DATA_DIR": str(embedded_data_dir)}
