"""A database of the services that came before, taken over: looked at, done, done again, killed, refused."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from database import clone_of, execute, url_of
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.storage.adoption import _old_tables, adopt, plan_adoption
from kurswerk.storage.predictions import PostgresPredictionStore
from kurswerk.storage.registry import PostgresCatalog, PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database, current_revision, upgrade
from kurswerk.training import ModelSpec, specification_again
from old_services import ROWS, SCHEMA

ADOPT = """
import sys
from kurswerk.storage.adoption import adopt
from kurswerk.storage.server import Database
adopt(Database(sys.argv[1]))"""
TABLES = ["ml_models", "ml_test_results", "ml_comparisons", "ml_jobs", "predictions", "prediction_alerts"]


def rows_of(database: Database, query: str) -> list[tuple]:
    with database.connection() as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def content(database: Database, schema: str) -> dict[str, list[tuple]]:
    return {name: rows_of(database, f"SELECT to_jsonb(t) FROM {schema}.{name} t ORDER BY id") for name in TABLES}


@pytest.fixture(scope="module")
def old_template(server_url: str) -> Iterator[str]:
    name = "kurswerk_old_services"
    execute(server_url, "CREATE DATABASE {}", name)
    with psycopg.connect(url_of(server_url, name)) as connection:
        connection.execute(SCHEMA)
        connection.execute(ROWS)
        for table in TABLES:
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # type: ignore[arg-type]
            )
    yield name
    execute(server_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def old(server_url: str, old_template: str) -> Iterator[Database]:
    """An old installation's database."""
    yield from clone_of(server_url, old_template)


@pytest.fixture(scope="module")
def adopted(server_url: str, old_template: str) -> Iterator[Database]:
    """One that was taken over."""
    for database in clone_of(server_url, old_template):
        adopt(database)
        yield database


def test_a_look_changes_nothing_and_states_what_would_be_done(old: Database):
    before = content(old, "public")
    plan = plan_adoption(old)
    assert not plan.done
    assert [(table.name, table.rows, table.taken_over) for table in plan.tables] == [
        (name, len(before[name]), None) for name in TABLES
    ]
    assert {model.id: (model.translated, model.taken_over) for model in plan.models} == {
        1: (True, True),
        2: (True, True),
        3: (False, True),
        4: (True, True),
        5: (False, False),
        6: (True, True),
    }
    assert content(old, "public") == before
    assert current_revision(old) is None


def test_the_old_tables_stay_as_they_were_and_ours_are_beside_them(old: Database):
    before = content(old, "public")
    done = adopt(old)
    assert done.done
    assert content(old, "before_kurswerk") == before
    assert not upgrade(old)
    assert {table.name: table.taken_over for table in done.tables} == {
        "ml_models": 5, "ml_test_results": 2, "ml_comparisons": 2, "ml_jobs": 4, "predictions": 300,
        "prediction_alerts": 20,
    }  # fmt: skip


def test_doing_it_again_finds_nothing(adopted: Database):
    before = content(adopted, "public")
    assert not adopt(adopted).tables
    assert not plan_adoption(adopted).tables
    assert content(adopted, "public") == before


def test_models_are_listed_without_artifact_and_state_what_became_of_them(adopted: Database):
    models = PostgresModelStore(adopted)
    found = {record.id: record for record in models.find(status="NO_ARTIFACT")}
    assert {id_: record.name for id_, record in found.items()} == {
        1: "Finale", 2: "Schwelle", 3: "Netz", 4: "Finale (id 4)",
    }  # fmt: skip
    assert not any(record.is_active or record.artifact_sha256 for record in found.values())
    first = found[1]
    assert (first.alert_threshold, first.metrics and first.metrics.f1) == (0.8, 0.42)
    assert first.metrics
    assert first.metrics.confusion_matrix == {"tp": 5, "tn": 80, "fp": 9, "fn": 6}
    assert first.feature_importance == {"volume_sol": 0.75, "price_close": 0.25}
    spec = ModelSpec.stored(first.spec)
    assert (spec.future_minutes, spec.min_percent_change, spec.direction) == (5, 30, "up")
    assert (spec.phases, spec.use_smote, spec.cv_splits, spec.params) == ((1, 2), False, 2, {"n_estimators": 20})
    second = ModelSpec.stored(found[2].spec)
    assert (second.operator, second.target_value, second.params) == (">", 10000, {"max_depth": 4})
    assert second.features == ("price_open", "price_high", "volume_sol")
    assert "bogus" in str(found[2].error_detail)
    assert "whale_aura" in str(found[4].error_detail)
    assert "lstm" in str(found[3].error_detail)
    assert found[3].spec == {}
    assert found[2].metrics
    assert found[2].metrics.confusion_matrix == {"tp": 15, "tn": 70, "fp": 10, "fn": 5}


def test_results_jobs_and_alerts_are_those_of_before(adopted: Database):
    results = PostgresResultStore(adopted)
    (test,) = results.tests_of(1)
    assert (test.id, test.metrics.accuracy, test.metrics.tp, test.num_samples) == (1, 0.9, 4, 100)
    (second,) = results.tests_of(2)
    assert (second.metrics.roc_auc, second.metrics.mcc) == (None, None)
    assert second.metrics.confusion_matrix == {"tn": 1, "fp": 2, "fn": 3, "tp": 4}
    assert [one.winner_id for one in results.comparisons_of(1)] == [None, 1]
    jobs = rows_of(adopted, "SELECT id, status, error_msg, result_model_id, request FROM ml_jobs ORDER BY id")
    assert [(job[1], job[3]) for job in jobs] == [
        ("COMPLETED", 1),
        ("COMPLETED", None),
        ("CANCELLED", None),
        ("FAILED", None),
    ]
    assert jobs[3][2] == "no rows"
    assert "older service" in jobs[2][2]
    assert jobs[1][4] == {"test_model_id": 1}
    catalog = PostgresCatalog(adopted)
    assert catalog.model(3)["status"] == "NO_ARTIFACT"
    with pytest.raises(NotFoundError):
        catalog.model(5)


def test_of_each_row_and_model_the_newest_prediction_is_kept(adopted: Database):
    """Against a brute-force oracle over the old table."""
    newest: dict[tuple, tuple] = {}
    query = "SELECT coin_id, timestamp, model_id, id, prediction, probability, features FROM {}.predictions ORDER BY id"
    for coin, moment, model, *rest in rows_of(adopted, query.format("before_kurswerk")):
        newest[coin, moment, model] = tuple(rest)
    found = {row[:3]: row[3:] for row in rows_of(adopted, query.format("public"))}
    assert found == newest
    newest_of_coin = max(key for key in newest if key[0] == "COIN1")
    assert [one["id"] for one in PostgresPredictionStore(adopted).latest("COIN1")] == [newest[newest_of_coin][0]]
    alerts = rows_of(
        adopted,
        "SELECT a.timestamp = p.timestamp FROM prediction_alerts a JOIN predictions p ON p.id = a.prediction_id",
    )
    assert set(alerts) == {(True,)}


def test_new_rows_get_ids_that_none_had(adopted: Database):
    for table in TABLES:
        given, largest = rows_of(
            adopted, f"SELECT nextval(pg_get_serial_sequence('{table}', 'id')), max(id) FROM before_kurswerk.{table}"
        )[0]
        assert given > largest


def test_a_model_is_trained_again_under_a_name_of_its_own(adopted: Database):
    models = PostgresModelStore(adopted)
    spec = specification_again(models.get("Finale"), models)
    assert spec.name == "Finale 2"
    assert {**spec.as_json(), "name": "Finale"} == ModelSpec.stored(models.get("Finale").spec).as_json()
    with pytest.raises(ConflictError, match="Netz"):
        specification_again(models.get("Netz"), models)


def test_a_process_killed_on_the_way_leaves_everything_as_it_was(old: Database):
    before = content(old, "public")
    with psycopg.connect(old.url) as blocker:
        blocker.execute("CREATE TABLE backup_schedule (id int)")  # the last of our tables waits for our end
        process = subprocess.Popen([sys.executable, "-c", ADOPT, old.url], stderr=subprocess.PIPE, text=True)
        while not blocker.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        blocker.rollback()
    assert content(old, "public") == before
    assert adopt(old).done


def test_tables_that_are_in_use_are_refused_and_stay(old: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_old_tables, "_LOCK_TIMEOUT_MS", 50)
    with psycopg.connect(old.url, application_name="ml-prediction-service") as user:
        user.execute("SELECT * FROM predictions LIMIT 1")
        with pytest.raises(ConflictError, match="ml-prediction-service"):
            adopt(old)
        assert plan_adoption(old).others == ("ml-prediction-service",)
    assert current_revision(old) is None


def test_tables_of_anything_else_are_not_touched(bare_database: Database):
    with bare_database.connection() as connection:
        connection.execute("CREATE TABLE predictions (id int)")
    with pytest.raises(ConflictError, match="ml_models lacks"):
        adopt(bare_database)
    with bare_database.connection() as connection:
        connection.execute("DROP TABLE predictions")
    assert not adopt(bare_database).tables
    assert current_revision(bare_database) is None


def test_what_an_adoption_before_left_there_is_not_overwritten(old: Database):
    with old.connection() as connection:
        connection.execute("CREATE SCHEMA before_kurswerk")
        connection.execute("CREATE TABLE before_kurswerk.ml_jobs (id int)")
    with pytest.raises(ConflictError, match=r"before_kurswerk\.ml_jobs is there already"):
        adopt(old)


def test_tables_are_named_where_they_stop_an_upgrade(old: Database):
    with pytest.raises(ConflictError, match="kurswerk db adopt"):
        upgrade(old)
