"""``python -m benchmarks``: which benchmarks there are, and what it prints of them."""

import json

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program

ENTRY = {"name": "live", "ours_s": 0.5, "peer": "another", "peer_s": 1.0, "ratio": 2.0, "at_least": 1.5, "note": "work"}


@pytest.fixture
def measured(monkeypatch):
    """Replace the measurements, and keep the environment of this process as it is."""
    asked = []
    monkeypatch.setattr(program, "_measure", lambda name, bars: asked.append(name) or [{**ENTRY, "name": name}])
    monkeypatch.setattr(program, "_prepare_environment", lambda: None)
    return asked


def test_an_unknown_name_is_a_usage_error():
    done = CliRunner().invoke(program.main, ["nothing"])
    assert done.exit_code == 2
    assert "unknown benchmark 'nothing'; known: ingest" in done.output


def test_all_measures_every_benchmark_once_and_names_are_not_repeated(measured):
    assert CliRunner().invoke(program.main, ["all"]).exit_code == 0
    assert measured == list(program.BENCHMARKS)
    measured.clear()
    assert CliRunner().invoke(program.main, ["live", "load", "live"]).exit_code == 0
    assert measured == ["live", "load"]


def test_json_is_one_document_and_the_table_has_the_same_numbers(measured):
    done = CliRunner().invoke(program.main, ["live", "--json"])
    assert json.loads(done.stdout) == [ENTRY]
    assert "measuring live" in done.stderr
    table = CliRunner().invoke(program.main, ["live"], env={"COLUMNS": "200"}).stdout
    assert all(word in table for word in ("another", "2.00", "1.5"))


def test_every_benchmark_has_a_module_that_runs():
    for module in program.BENCHMARKS.values():
        if module != "dashboard":  # imports a browser driver that need not be there
            assert callable(program.import_module(f"benchmarks.{module}").run)
