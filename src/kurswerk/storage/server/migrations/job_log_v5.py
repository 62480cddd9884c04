"""What revision 0005 adds: the log of jobs."""

from kurswerk.storage.server.migrations.checks import one_of

# Lines of a job are numbered while its row is locked, so that a higher number is a later commit and nobody who asks for
# "after line N" misses one; the key is the index that serves it.
ML_JOB_LOG = f"""
CREATE TABLE ml_job_log (
    job_id bigint NOT NULL REFERENCES ml_jobs (id) ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempt integer NOT NULL,
    level varchar(10) NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (job_id, id),
    CONSTRAINT ml_job_log_attempt_check CHECK (attempt >= 0),
    {one_of("ml_job_log", "level", ["info", "warning", "error"])}
)"""
