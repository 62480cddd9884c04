"""The command line in this process, on a database of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kurswerk.cli import main
from memory_market import a_spec, random_market, write_panel


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(database, tmp_path, monkeypatch, capsys) -> Run:
    """Run ``kurswerk`` with words; the working directory and the data directory are temporary."""
    monkeypatch.setenv("KURSWERK_DATABASE_URL", database.url)
    monkeypatch.setenv("KURSWERK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Done:
        capsys.readouterr()
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as error:
            code = int(error.code or 0)
        caught = capsys.readouterr()
        return Done(code, caught.out, caught.err)

    return call


@pytest.fixture
def candles(tmp_path):
    """A Parquet file of a small market, under the names that exchanges use."""
    path = tmp_path / "candles.parquet"
    names = {"mint": "symbol", "timestamp": "ts", "price_open": "open", "price_high": "high", "price_low": "low"}
    write_panel(random_market(), path, names | {"price_close": "close", "volume_sol": "volume"})
    return path


@pytest.fixture
def spec(tmp_path):
    """Write a specification with changes and return its path."""

    def write(**changes: Any):
        document = a_spec(**changes).as_json()
        path = tmp_path / f"{document['name'].replace('/', '-')}.json"
        path.write_text(json.dumps(document))
        return path

    return write
