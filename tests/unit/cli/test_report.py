"""``kurswerk report`` on records and a market held in memory."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kurswerk.cli import report as cli_report
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.market import Panel
from kurswerk.registry import ModelRecord, TestResult
from kurswerk.reports import _write
from unit.reports.samples import market, record_of, result_of

FOREST = record_of(1, "my forest", "random_forest", 1.0)
TREES = record_of(2, "trees", "xgboost", 0.8)
FAILED = replace(record_of(3, "broken", "xgboost", 0.5), status="FAILED")


class Models:
    def __init__(self, *records: ModelRecord) -> None:
        self.records = records

    def get(self, key: int | str) -> ModelRecord:
        return next(record for record in self.records if key in {record.id, record.name})

    def find(self, *, status: str, limit: int) -> list[ModelRecord]:
        return [record for record in self.records if record.status == status][:limit]


class Results:
    def tests_of(self, model_id: int) -> list[TestResult]:
        return [result_of(FOREST, 1.0)] if model_id == FOREST.id else []


class Market:
    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    def columns(self) -> tuple[str, ...]:
        return self.panel.columns

    def instruments(self) -> list[str]:
        return list(self.panel.instruments)

    def availability(self) -> Any:
        times = self.panel.timestamps
        first, last = (int(times.min()), int(times.max())) if len(times) else (None, None)
        return SimpleNamespace(first_us=first, last_us=last, rows=len(times), coins=len(self.panel.instruments))

    def latest_rows(self, coin: str, n: int, columns: list[str]) -> Panel:
        mask = self.panel.codes == self.panel.instruments.index(coin)
        return self.panel.where(mask)


class Database:
    def __str__(self) -> str:
        return "database kurswerk on host as me"


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_write, "get_plotlyjs", lambda: "/* the library */")

    def running(
        *arguments: str, records: tuple[ModelRecord, ...] = (FOREST, TREES, FAILED), panel: Any = None
    ) -> Result:
        app = SimpleNamespace(
            models=Models(*records),
            results=Results(),
            markets={"coins": Market(market()[0] if panel is None else panel)},
            database=Database(),
            settings=SimpleNamespace(data_dir=tmp_path / "data"),
        )
        monkeypatch.setattr(cli_report, "open_application", lambda: app)
        return CliRunner().invoke(cli_report.command, list(arguments))

    return running


def test_all_ready_models_by_default(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "exports").iterdir()
    assert path.name.startswith("kurswerk-report-")
    assert str(path) in result.output
    text = path.read_text(encoding="utf-8")
    assert "Report on 2 models" in text
    assert "broken" not in text
    assert "database kurswerk on host as me" in text
    assert "kurswerk certify &#39;my forest&#39;" in text
    assert "Price of COIN0" in text


def test_named_models_once_each_and_json(run: Run, tmp_path: Path) -> None:
    result = run("1", "my forest", "--output", "here.html", "--json")
    document = json.loads(result.output)
    assert document["models"] == [1]
    assert Path(document["path"]) == tmp_path / "here.html"
    assert document["bytes"] == (tmp_path / "here.html").stat().st_size
    assert "Report on my forest" in (tmp_path / "here.html").read_text(encoding="utf-8")


def test_refusals(run: Run) -> None:
    assert isinstance(run("broken").exception, ConflictError)
    assert isinstance(run(records=(FAILED,)).exception, NotFoundError)


def test_an_empty_market_and_one_without_prices(run: Run, tmp_path: Path) -> None:
    panel = market()[0]
    assert run("--output", "a.html", panel=panel.until(-1)).exit_code == 0
    assert "The market" not in (tmp_path / "a.html").read_text(encoding="utf-8")
    bare = Panel(panel.instruments, panel.offsets, panel.timestamps, (), panel.values[:0])
    assert run("--output", "b.html", panel=bare).exit_code == 0
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "The market" in text
    assert "Price of" not in text
