import database_docs


def test_the_database_page_shows_the_tables_that_there_are(database):
    written = database_docs.TARGET.read_text(encoding="utf-8")
    assert written == database_docs.page(database.url), "run python tools/database_docs.py"


def test_the_diagram_has_every_foreign_key_and_no_other(database):
    """Against the catalogue of the standard, which the tool does not ask."""
    query = """
        SELECT DISTINCT tc.table_name, kcu.column_name, ccu.table_name FROM information_schema.table_constraints tc
        JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name)
        JOIN information_schema.constraint_column_usage ccu USING (constraint_schema, constraint_name)
        WHERE tc.constraint_type = 'FOREIGN KEY' AND tc.table_schema = 'public'
        AND tc.table_name NOT LIKE 'procrastinate%'
        AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = tc.table_name AND c.relispartition)"""
    with database.connection() as connection:
        expected = set(connection.execute(query).fetchall())
    found = {
        (name, column, target)
        for name, table in database_docs.read_tables(database.url).items()
        for column, target in table.references
    }
    assert found == expected
    assert ("predictions", "model_id", "ml_models") in found
