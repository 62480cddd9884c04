"""Write ``.env.example`` from the settings that the code declares: ``python tools/env_example.py``."""

from collections.abc import Iterator
from pathlib import Path

from kurswerk.bootstrap.setting_groups import SettingGroup, choices_of, variable_of
from kurswerk.bootstrap.settings import GROUPS

TARGET = Path(__file__).resolve().parents[1] / ".env.example"
HEAD = """\
# Settings of Kurswerk. Every line but the first is optional; what stands behind '=' is the default.
# The same may stand in kurswerk.toml: data_dir = "…", and [http] with port = 8000.

# --- For compose.yaml alone
# The password of its PostgreSQL, which only its own containers reach: openssl rand -hex 32
POSTGRES_PASSWORD=
# Where the API, Prometheus and n8n (--profile n8n) are reached; 127.0.0.1 is this machine alone.
#API_PUBLISH=127.0.0.1:8000
#PROMETHEUS_PUBLISH=127.0.0.1:9090
#N8N_PUBLISH=127.0.0.1:5678
# Memory of a worker's container; a job may take 70 % of it.
#WORKER_MEMORY=4g
# Another image than the one built here; the time zone of n8n's schedules.
#KURSWERK_IMAGE=kurswerk:latest
#TZ=UTC

# --- For every way to run it

# A PostgreSQL of yours, version 14 or newer; empty: an embedded one under the data directory.
#KURSWERK_DATABASE_URL=postgresql://user:password@host:5432/name
# Embedded database, quarantined rows, compiled kernels, metrics; empty: the user's data directory.
#KURSWERK_DATA_DIR=
# Another file than kurswerk.toml in the current directory.
#KURSWERK_CONFIG=
# Whether the embedded database ends with the service, as it has to in a container.
#KURSWERK_STOP_DATABASE=false
# API keys that the API makes sure of when it starts: NAME:SCOPE:KEY, parted by commas or lines. Scopes: read, train,
# admin. A key: echo kw_$(openssl rand -hex 32)
#KURSWERK_API_KEYS=
# Python files with features of your own, parted by commas; every process runs them when it starts.
#KURSWERK_FEATURE_FILES=
# Each secret may come from a file instead: KURSWERK_API_KEYS_FILE, KURSWERK_DATABASE_URL_FILE, …, DB_PASSWORD_FILE.
# What older services set is understood too: DB_DSN, or DB_HOST DB_PORT DB_NAME DB_USER DB_PASSWORD; BATCH_SIZE,
# POLLING_INTERVAL_SECONDS, MODEL_CACHE_SIZE, DEFAULT_ALERT_THRESHOLD, ALERT_WEBHOOK_URL, METRICS_PORT. Without effect:
# BATCH_TIMEOUT_SECONDS, MODEL_STORAGE_PATH, FEATURE_HISTORY_SIZE, MAX_CONCURRENT_PREDICTIONS, HEALTH_CHECK_INTERVAL
# (docs/settings.md has the reasons).
"""


def page() -> str:
    """Return the whole file."""
    return HEAD + "".join("\n" + "\n".join(group_lines(name, kind)) + "\n" for name, kind in GROUPS.items())


def group_lines(name: str, kind: type[SettingGroup]) -> Iterator[str]:
    """Yield a heading, and two lines for each setting of a group."""
    yield f"# --- {name}: {(kind.__doc__ or '').strip().splitlines()[0]}"
    for key, field in kind.model_fields.items():
        choices = f" ({', '.join(choices_of(field))})" if choices_of(field) else ""
        yield f"# {field.description}{choices}"
        yield f"#{variable_of(name, key)}={default_text(field.default)}"


def default_text(value: object) -> str:
    """Return a default as it is written in the environment."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
