"""Databases with all that a backup must bring back, and what they are compared by."""

import re
import subprocess

import psycopg
from psycopg import sql

from kurswerk.storage.server import Database, installed_programs

# Beside Kurswerk's own tables: everything of PostgreSQL's that COPY or pg_dump treat differently.
OTHERS = """
CREATE SCHEMA "other's";
CREATE TYPE mood AS ENUM ('fine', 'bad');
CREATE TYPE "other's".pair AS (a int, b text);
CREATE TABLE "other's"."odd ""name" (
    id bigint GENERATED ALWAYS AS IDENTITY (START 7), t text, b bytea, n numeric, j jsonb, i interval, m mood,
    d date, r real, a int[], gone int, double_n numeric GENERATED ALWAYS AS (n * 2) STORED, PRIMARY KEY (id));
ALTER TABLE "other's"."odd ""name" DROP COLUMN gone;
INSERT INTO "other's"."odd ""name" (t, b, n, j, i, m, d, r, a) VALUES
    (E'tab\\t, line\\n, \\\\. and \\u00fc', '\\x00ff0a', 'NaN', '{"a": [1, null]}', '1 day -3 s', 'bad', 'infinity',
     '-Infinity', '{1,NULL,3}'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('', '', 1e-300, 'null', '0', 'fine', '4713-01-01 BC', 0, '{}');
CREATE TABLE moods (id int, m mood[], p "other's".pair);
INSERT INTO moods
    SELECT k, ARRAY['fine', 'bad']::mood[], ROW(k, 'x'::text)::"other's".pair FROM generate_series(1, 50) k;
CREATE TABLE parts (k int, at date, PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') PARTITION BY RANGE (k);
CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES FROM (0) TO (1000000);
INSERT INTO parts SELECT k, date '2024-01-01' + k % 55 FROM generate_series(1, 3000) k;
CREATE SEQUENCE lone START 5 INCREMENT 3;
SELECT nextval('lone'), nextval('lone');
CREATE VIEW seen AS SELECT m.id, p.at FROM moods m JOIN parts p ON p.k = m.id;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$;
CREATE TRIGGER noting BEFORE INSERT ON moods FOR EACH ROW EXECUTE FUNCTION noted();
DELETE FROM parts WHERE k % 7 = 0
"""
TABLES = r"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'"""


def name_of(database: Database) -> str:
    """Return a database's name."""
    return database.url.rpartition("/")[2].partition("?")[0]


def databases_beside(database: Database) -> list[str]:
    """Return the names of the databases that restores of this one have made."""
    with psycopg.connect(server_of(database), autocommit=True) as connection:
        pattern = f"^{name_of(database)}_(restoring|replaced|verifying)"
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname ~ %s ORDER BY 1", [pattern])
        return [row[0] for row in rows]


def drop_beside(database: Database) -> None:
    """Drop the databases that restores of this one have made."""
    with psycopg.connect(server_of(database), autocommit=True) as connection:
        for name in databases_beside(database):
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def server_of(database: Database) -> str:
    """Return the URL of the server's own database."""
    return database.url.replace(f"/{name_of(database)}", "/postgres", 1)


def content(database: Database) -> dict[str, str]:
    """Return a digest of every table's rows, made by the server from their text, in no order."""
    with psycopg.connect(database.url) as connection:
        found = {}
        for schema, name in connection.execute(TABLES).fetchall():
            query = "SELECT md5(coalesce(string_agg(t::text, E'\\x01' ORDER BY t::text), '')) FROM ONLY {} t"
            row = connection.execute(sql.SQL(query).format(sql.Identifier(schema, name))).fetchone()
            assert row
            found[f"{schema}.{name}"] = row[0]
        for row in connection.execute("SELECT schemaname, sequencename, last_value FROM pg_sequences").fetchall():
            found[f"{row[0]}.{row[1]}"] = str(row[2])
    return found


def statements(database: Database) -> str:
    """Return the statements that make all tables, as pg_dump has them."""
    program = installed_programs()[max(installed_programs())] / "pg_dump"
    done = subprocess.run(
        [program, "--schema-only", "--dbname", database.url], capture_output=True, text=True, check=True
    )
    plain = re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
    # The server writes a list of texts in a condition in two ways, by how it was entered, and gives NOT NULL a name of
    # its own where that of another table is taken.
    return re.sub(r"::(character varying|text)(\[\])?|[()]|CONSTRAINT \w+_not_null\d*(?= NOT NULL)", "", plain).replace(
        "  NOT NULL", " NOT NULL"
    )
