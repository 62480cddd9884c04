"""The page of contracts and the program agree, in both directions."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest.mock import MagicMock

import click
import pytest

from kurswerk.api import ApiOptions, create_app
from kurswerk.bootstrap import settings
from kurswerk.bootstrap.api_services import api_services
from kurswerk.bootstrap.setting_groups import variable_of
from kurswerk.bootstrap.stores import open_stores
from kurswerk.cli._groups import CommandGroup
from kurswerk.cli._main import COMMANDS
from kurswerk.observability import Metrics, ServiceState

PAGE = Path(__file__).resolve().parents[3] / "docs" / "contracts.md"
# How the page writes types, where PostgreSQL is wordier.
SHORT_TYPES = {
    "character varying": "varchar", "timestamp with time zone": "timestamptz", "double precision": "double",
    "integer": "int", "boolean": "bool", "time without time zone": "time",
}  # fmt: skip
# Partitions and the job queue's own tables are no contract.
COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
AND c.relname NOT LIKE 'procrastinate%'"""


def section(title: str) -> str:
    """Return the text under a heading of the second level."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> dict[str, str]:
    """Return the rows of a section's table: what stands in code marks first → the rest of the row."""
    found = re.findall(r"^\| `([^`]+)`(.*)\|$", section(title), flags=re.MULTILINE)
    assert len(dict(found)) == len(found), f"a row of '{title}' is there twice"
    return dict(found)


def written_columns() -> Iterator[tuple[str, str, str]]:
    """Yield table, column and type as the page has them."""
    for table, text in re.findall(r"^#### `(\w+)`\n(.*?)(?=^###|\Z)", section("Tables"), re.MULTILINE | re.DOTALL):
        listed = text.partition("\nColumns: ")[2].partition(".\n")[0].replace("\n", " ")
        for column, kind in re.findall(r"`(\w+)` ([^`]+?)(?:, |$)", listed):
            yield table, column, kind


def short_type(kind: str) -> str:
    """Return a type as the page writes it."""
    long = next((long for long in SHORT_TYPES if kind.startswith(long)), "")
    return SHORT_TYPES.get(long, "") + kind[len(long) :]


def test_every_table_column_and_type(database):
    with database.connection() as connection:
        stored = connection.execute(COLUMNS).fetchall()
    assert set(written_columns()) == {(table, column, short_type(kind)) for table, column, kind in stored}


def test_every_route(database, tmp_path):
    services = api_services(
        open_stores(database),
        tmp_path,
        health=MagicMock(),
        metrics_text=MagicMock(),
        on_request=MagicMock(),
    )
    document = create_app(services, ApiOptions()).openapi()
    calls = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert set(rows("REST")) == calls | {"WS /ws/predictions"}


def commands(command: click.Command, words: str) -> Iterator[tuple[str, set[str]]]:
    """Yield every command with its options."""
    if isinstance(command, CommandGroup):
        yield from commands(command.own, words)
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{words} {name}")
        return
    options = [option for option in command.params if isinstance(option, click.Option)]
    names = {name for option in options for name in (*option.opts, *option.secondary_opts) if name.startswith("--")}
    assert "--json" in names, words
    yield words, names - {"--json"}


def test_every_command_and_option():
    found = {}
    for name, (module, _) in COMMANDS.items():
        found |= dict(commands(import_module(f"kurswerk.cli.{module}").command, f"kurswerk {name}"))
    assert {name: set(re.findall(r"`(--[\w-]+)`", rest)) for name, rest in rows("Command line").items()} == found


def test_every_metric_with_its_kind():
    state = ServiceState(1.0, db_connected=True, models_total=1, active_models=1, pending_jobs=0, job_progress={1: 0.5},
                         feature_cache_hit_rate=0.5, feature_cache_bytes=1)  # fmt: skip
    found = dict(re.findall(r"^# TYPE (\w+) (\w+)$", Metrics().text(state).decode(), flags=re.MULTILINE))
    measured = {name: kind for name, kind in found.items() if not name.endswith("_created")}
    assert {name: rest.split("|")[1].strip() for name, rest in rows("Metrics").items()} == measured


def test_every_variable_of_the_environment(monkeypatch, tmp_path):
    asked = set()

    class Environment(dict[str, str]):
        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

    settings.read_settings(Environment(DB_HOST="host"), tmp_path)
    grouped = {variable_of(group, field) for group, kind in settings.GROUPS.items() for field in kind.model_fields}
    assert set(rows("Environment")) == asked | grouped | set(settings.WITHOUT_EFFECT)


@pytest.mark.parametrize("title", ["Tables", "REST", "Command line", "Metrics", "Environment"])
def test_every_section_is_there(title):
    assert section(title)
