"""From a database of the services that came before to a model that is trained again, as the guide has it."""

import re
import shlex
from pathlib import Path

import psycopg
import pytest

from old_services import ROWS, SCHEMA

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "upgrade.md"


@pytest.fixture
def database(bare_database):
    with psycopg.connect(bare_database.url) as connection:
        connection.execute(SCHEMA)
        connection.execute(ROWS)
        connection.execute("UPDATE ml_models SET phases = NULL, price_change_percent = 1 WHERE id = 1")
    return bare_database


def commands_of_guide() -> list[list[str]]:
    """Return the words of each of our commands in the guide's part on older services."""
    part = GUIDE.read_text(encoding="utf-8").partition("## From the older services")[2]
    blocks = re.findall(r"^```bash\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "kurswerk"]


def test_the_guide_works_as_written(run, candles):
    look, take_over, listed, again = commands_of_guide()
    shown = run(*look)
    assert shown.code == 0, shown.err
    assert "nothing is changed yet" in shown.out
    assert "before_kurswerk.ml_models" in shown.out
    assert "db adopt" in run("db", "upgrade").err
    done = run(*take_over, "--json").json
    assert done["done"]
    assert [model["translated"] for model in done["models"]] == [True, True, False, True, False, True]
    assert "holds no tables of an older service" in run(*take_over).out
    models = {model["name"]: model for model in run(*listed, "--json").json["models"]}
    assert models["Netz"]["target"] is None
    assert "never loaded" in run("models", "Netz").out
    refused = run("activate", "Finale")
    assert refused.code == 1
    assert "NO_ARTIFACT" in refused.err
    assert run("ingest", "coins", candles).code == 0
    trained = run(*again, "--json")
    assert trained.code == 0, trained.err
    assert (trained.json["name"], trained.json["status"]) == ("Finale 2", "READY")
    shorter = run(*again, "--end", "2024-01-01T06:40:00Z", "--name", "shorter", "--json").json
    assert (shorter["name"], shorter["train_end"]) == ("shorter", "2024-01-01T06:40:00+00:00")
