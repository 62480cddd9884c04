"""From a database of the services that came before to a model that is trained again."""

import psycopg
import pytest

from old_services import ROWS, SCHEMA


@pytest.fixture
def database(bare_database):
    with psycopg.connect(bare_database.url) as connection:
        connection.execute(SCHEMA)
        connection.execute(ROWS)
        connection.execute("UPDATE ml_models SET phases = NULL, price_change_percent = 1 WHERE id = 1")
    return bare_database


def test_an_old_installation_is_shown_taken_over_and_trained_again(run, candles):
    shown = run("db", "adopt")
    assert shown.code == 0, shown.err
    assert "nothing is changed yet" in shown.out
    assert "before_kurswerk.ml_models" in shown.out
    assert "db adopt" in run("db", "upgrade").err
    done = run("db", "adopt", "--apply", "--json").json
    assert done["done"]
    assert [model["translated"] for model in done["models"]] == [True, True, False, True, False, True]
    assert "holds no tables of an older service" in run("db", "adopt", "--apply").out
    listed = {model["name"]: model for model in run("models", "--status", "NO_ARTIFACT", "--json").json["models"]}
    assert listed["Netz"]["target"] is None
    assert "never loaded" in run("models", "Netz").out
    refused = run("activate", "Finale")
    assert refused.code == 1
    assert "NO_ARTIFACT" in refused.err
    assert run("ingest", "coins", candles).code == 0
    again = run("models", "retrain", "Finale", "--end", "2024-01-01T06:40:00Z", "--json")
    assert again.code == 0, again.err
    assert (again.json["name"], again.json["status"]) == ("Finale 2", "READY")
    assert again.json["train_end"] == "2024-01-01T06:40:00+00:00"
