"""The triggers that tell the feed which rows of ``coin_metrics`` are new or corrected.

One statement leads to one INSERT into ``coin_feed`` and one notification, however many rows it has. While no model is
active nothing is written, so that loading history costs nothing. The functions run with the rights of their owner,
because the program that writes coins need not know our tables; timestamps without zone are UTC.

A statement of more than 10,000 rows is a load of history: what others write meanwhile does not wait for it.
"""

# A longer name has no place in the feed; moments outside of these are ones that many a program cannot read.
_FED = (
    "mint IS NOT NULL AND length(mint::text) <= 255 AND \"timestamp\" >= '0001-01-02' AND \"timestamp\" < '9999-12-31'"
)
FUNCTIONS = ("kurswerk_feed_inserted", "kurswerk_feed_updated")

_INSERTED = """
CREATE OR REPLACE FUNCTION kurswerk_feed_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
DECLARE large boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted) THEN RETURN NULL; END IF;
    SELECT count(*) > 10000 INTO large FROM new_rows;
    INSERT INTO coin_feed (partition, bulk, kind, coin_id, "timestamp", created_at)
    SELECT (hashtext(mint::text) & 63)::smallint, large, 0, mint::text, "timestamp", clock_timestamp()
    FROM new_rows WHERE :fed;
    IF FOUND THEN PERFORM pg_notify('kurswerk_feed', ''); END IF;
    RETURN NULL;
END $$"""

# A key that was not there before is a new row; one that is gone changes what came after it.
_UPDATED = """
CREATE OR REPLACE FUNCTION kurswerk_feed_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
DECLARE large boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted) THEN RETURN NULL; END IF;
    SELECT count(*) > 10000 INTO large FROM new_rows;
    INSERT INTO coin_feed (partition, bulk, kind, coin_id, "timestamp", created_at)
    SELECT (hashtext(mint::text) & 63)::smallint, large, kind, mint::text, "timestamp", clock_timestamp()
    FROM (
        SELECT n.mint, n."timestamp", CASE WHEN EXISTS (
            SELECT FROM old_rows o WHERE o.mint = n.mint AND o."timestamp" = n."timestamp"
        ) THEN 1 ELSE 0 END AS kind FROM new_rows n
        UNION ALL
        SELECT o.mint, o."timestamp", 1 FROM old_rows o WHERE NOT EXISTS (
            SELECT FROM new_rows n WHERE n.mint = o.mint AND n."timestamp" = o."timestamp"
        )
    ) changed WHERE :fed;
    IF FOUND THEN PERFORM pg_notify('kurswerk_feed', ''); END IF;
    RETURN NULL;
END $$"""

_INSERT_TRIGGER = """
CREATE TRIGGER kurswerk_feed_inserted AFTER INSERT ON coin_metrics
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION kurswerk_feed_inserted()"""
_UPDATE_TRIGGER = """
CREATE TRIGGER kurswerk_feed_updated AFTER UPDATE ON coin_metrics
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION kurswerk_feed_updated()"""

_NO_TRIGGERS = tuple(f"DROP TRIGGER IF EXISTS {name} ON coin_metrics" for name in FUNCTIONS)


def functions() -> tuple[str, ...]:
    """Return the statements that write the triggers' functions anew."""
    return (_INSERTED.replace(":fed", _FED), _UPDATED.replace(":fed", _FED))


def creation() -> tuple[str, ...]:
    """Return the statements that put the triggers on ``coin_metrics``; a second time they change nothing."""
    return (*functions(), *_NO_TRIGGERS, _INSERT_TRIGGER, _UPDATE_TRIGGER)


def removal() -> tuple[str, ...]:
    """Return the statements that take the triggers away again."""
    return (*_NO_TRIGGERS, *(f"DROP FUNCTION IF EXISTS {name}()" for name in FUNCTIONS))
