"""The tables of a database as PostgreSQL itself describes them."""

from typing import Any

import psycopg

# Those of Procrastinate are its own; a test of the migrations holds their version.
_OURS = "c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'procrastinate%%' AND c.relkind IN ('r', 'p')"
_COLUMNS = f"""
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
    pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE {_OURS} ORDER BY c.relname, a.attname"""
_PARTS = {
    "constraints": f"""
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid
WHERE {_OURS} AND k.contype <> 'n'""",
    "indexes": f"""
SELECT c.relname, i.relname, pg_get_indexdef(i.oid) FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid
JOIN pg_class i ON i.oid = x.indexrelid WHERE {_OURS}""",
    "triggers": f"""
SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid) FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
WHERE {_OURS} AND NOT t.tgisinternal""",
    "partition": f"""
SELECT c.relname, 'by', pg_get_partkeydef(c.oid) FROM pg_class c WHERE {_OURS} AND c.relkind = 'p'
UNION ALL SELECT c.relname, 'of', pg_get_expr(c.relpartbound, c.oid) FROM pg_class c
WHERE {_OURS} AND c.relispartition""",
    "options": f"""
SELECT c.relname, split_part(o, '=', 1), split_part(o, '=', 2) FROM pg_class c, unnest(c.reloptions) o WHERE {_OURS}""",
}
_FUNCTIONS = """
SELECT proname, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND proname NOT LIKE 'procrastinate%%' AND prokind <> 'a'
ORDER BY proname"""
_SEQUENCES = """
SELECT sequencename, data_type::text, start_value, increment_by FROM pg_sequences
WHERE schemaname = 'public' AND sequencename NOT LIKE 'procrastinate%%' ORDER BY sequencename"""


def record_schema(url: str) -> dict[str, Any]:
    """Return tables, functions and sequences of a database that ``kurswerk db upgrade`` has prepared."""
    tables: dict[str, Any] = {}
    with psycopg.connect(url) as connection:
        for table, column, kind, required, identity, default in connection.execute(_COLUMNS.encode()):
            columns = tables.setdefault(table, {"columns": {}})["columns"]
            columns[column] = {"type": kind, "not_null": required, "identity": identity, "default": default}
        for part, query in _PARTS.items():
            for table, name, definition in connection.execute(query.encode()):
                tables[table].setdefault(part, {})[name] = definition
        functions: dict[str, str] = dict(connection.execute(_FUNCTIONS.encode()).fetchall())
        sequences = {name: list(rest) for name, *rest in connection.execute(_SEQUENCES.encode())}
    return {**tables, "(functions)": functions, "(sequences)": sequences}
