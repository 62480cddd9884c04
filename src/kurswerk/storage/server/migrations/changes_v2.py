"""Triggers of revision 0002 that tell listeners which table has changed.

Once per statement, never per row: a notification takes a lock on the whole server at commit. Of several about one table
in one transaction, PostgreSQL sends one.
"""

from collections.abc import Iterator

CHANNEL = "kurswerk_changes"

# Which events matter in each table. When a key was last used is nobody's concern.
WATCHED = {
    "ml_models": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "ml_test_results": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "ml_comparisons": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "ml_jobs": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "api_keys": "INSERT OR UPDATE OF key_hash, scopes, revoked_at OR DELETE OR TRUNCATE",
}

_FUNCTION = f"""
CREATE FUNCTION kurswerk_tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{CHANNEL}', TG_TABLE_NAME);
    RETURN NULL;
END $$"""


def creation() -> Iterator[str]:
    """Yield the statements that create function and triggers."""
    yield _FUNCTION
    for table, events in WATCHED.items():
        yield (
            f"CREATE TRIGGER {table}_tell_change AFTER {events} ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION kurswerk_tell_change()"
        )


def removal() -> Iterator[str]:
    """Yield the statements that remove them."""
    for table in WATCHED:
        yield f"DROP TRIGGER IF EXISTS {table}_tell_change ON {table}"
    yield "DROP FUNCTION IF EXISTS kurswerk_tell_change()"
