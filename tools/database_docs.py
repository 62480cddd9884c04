"""Write ``docs/database.md`` from a real database: ``python tools/database_docs.py``."""

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade

ROOT = Path(__file__).resolve().parents[1]
TARGET, CONTRACTS = ROOT / "docs" / "database.md", ROOT / "docs" / "contracts.md"
HEAD = """\
# Database

<!-- Written by tools/database_docs.py from a migrated database; a test compares. -->

The tables that `kurswerk db upgrade` makes in an empty database, {count} without partitions and those of the job queue
(`procrastinate_…`). [Contracts](contracts.md#tables) lists every column, `kurswerk db status` the rows and bytes of
yours, and `kurswerk db url` prints where it is, for psql. Each market has the same four tables beside its own: a feed
of new rows, what was seen of tables without triggers, revisions, and states of recursive features; the diagram leaves
them out.

## How tables refer to each other

An arrow is a foreign key; every one of them is indexed, and rows go with what they refer to. Rows about predictions,
such as alerts and outcomes, carry a prediction's `id` or key without one: they outlast a prediction whose partition is
dropped.

"""
_COLUMNS = """
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
AND c.relname NOT LIKE 'procrastinate%' ORDER BY c.relname, a.attnum"""
_KEYS = """
SELECT k.conrelid::regclass::text, k.contype::text, k.confrelid::regclass::text,
    (SELECT array_agg(a.attname::text ORDER BY place) FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype IN ('p', 'f') AND k.conparentid = 0 AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
ORDER BY 1, 2, 3, 4"""
_SHORT = {"timestamp with time zone": "timestamptz", "character varying": "varchar", "double precision": "double"}
# Of every market; see `MarketSchema`.
_OF_MARKETS = re.compile(r".+_(feed|feed_seen|revisions|states)$")


@dataclass
class Table:
    """What the page shows of a table."""

    columns: dict[str, str]
    partitioned_by: str | None
    primary: tuple[str, ...] = ()
    references: tuple[tuple[str, str], ...] = ()

    def marks(self, column: str) -> str:
        """Return whether a column belongs to the primary key or refers to another table."""
        found = ["PK"] if column in self.primary else []
        return ",".join(found + (["FK"] if column in dict(self.references) else []))


def read_tables(url: str) -> dict[str, Table]:
    """Return the tables of a database by name, without partitions and the job queue's."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(_COLUMNS).fetchall()
        keys = connection.execute(_KEYS).fetchall()
    tables: dict[str, Table] = {}
    for name, column, kind, partitioned_by in columns:
        tables.setdefault(name, Table({}, partitioned_by)).columns[column] = _SHORT.get(kind, kind.replace(" ", "_"))
    for name, kind, target, names in keys:
        table = tables.get(name.strip('"'))
        if table is not None and kind == "p":
            table.primary = tuple(names)
        elif table is not None:
            table.references += tuple((column, target) for column in names)
    return tables


def page(url: str) -> str:
    """Return the whole page, for a migrated database."""
    tables = read_tables(url)
    shown = {name: table for name, table in tables.items() if not _OF_MARKETS.match(name)}
    linked = {name for name, table in shown.items() if table.references}
    linked |= {target for table in shown.values() for _, target in table.references}
    lines = ["```mermaid", "erDiagram"]
    for name in sorted(linked):
        lines += [f"  {name} {{", *_key_columns(shown[name]), "  }"]
    for name in sorted(linked):
        by_target: dict[str, list[str]] = defaultdict(list)
        for column, target in shown[name].references:
            by_target[target].append(column)
        lines += [f'  {target} ||--o{{ {name} : "{", ".join(columns)}"' for target, columns in by_target.items()]
    head = HEAD.format(count=len(tables))
    return f"{head}{chr(10).join([*lines, '```'])}\n\n## All tables\n\n{_table_of(tables)}\n"


def _key_columns(table: Table) -> Iterator[str]:
    for column, kind in table.columns.items():
        if marks := table.marks(column):
            yield f"    {kind.replace('[]', '_array')} {column} {marks}"


def _table_of(tables: dict[str, Table]) -> str:
    meanings = dict(
        re.findall(
            r"^#### `(\w+)`\n\n?(.+?[.:])(?:\s|$)", CONTRACTS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
    )
    rows = ["| table | what it holds | key | partitioned by |", "|---|---|---|---|"]
    for name, table in tables.items():
        meaning = " ".join(meanings.get(name, "").split()).rstrip(".:")
        rows.append(f"| `{name}` | {meaning} | {', '.join(table.primary)} | {table.partitioned_by or ''} |")
    return "\n".join(rows)


def main() -> None:
    """Migrate a database of its own and write the page."""
    with tempfile.TemporaryDirectory(prefix="kurswerk-docs-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            database = Database(server.start())
            upgrade(database)
            TARGET.write_text(page(database.url), encoding="utf-8")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
