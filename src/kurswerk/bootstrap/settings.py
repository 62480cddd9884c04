"""Settings, read once from the environment and an optional ``kurswerk.toml``; ``.env.example`` lists them all.

The environment wins over the file. Names: ``KURSWERK_DATABASE_URL``, ``KURSWERK_DATA_DIR``, ``KURSWERK_CONFIG``, and
``KURSWERK_<GROUP>_<FIELD>`` for the groups; ``DB_DSN`` or ``DB_HOST``, ``DB_PORT``, ``DB_NAME``, ``DB_USER``,
``DB_PASSWORD`` are honoured as older services set them, as are ``BATCH_SIZE``,
``POLLING_INTERVAL_SECONDS``, ``MODEL_CACHE_SIZE``, ``DEFAULT_ALERT_THRESHOLD`` and ``ALERT_WEBHOOK_URL``;
``BATCH_TIMEOUT_SECONDS`` may be set and says nothing, because no batch waits. The file holds the same as lower-case
keys: ``data_dir = "…"``, and a table for each group: ``[http]`` with ``port = 8000``.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs

from kurswerk.bootstrap.setting_groups import (
    AlertSettings,
    HttpSettings,
    LogSettings,
    PredictorSettings,
    WorkerSettings,
    read_group,
    variable_of,
)
from kurswerk.core.errors import InvalidInputError, UnknownNameError

CONFIG_FILE = "kurswerk.toml"
GROUPS: dict[str, type[Any]] = {
    "http": HttpSettings,
    "worker": WorkerSettings,
    "predictor": PredictorSettings,
    "alerts": AlertSettings,
    "log": LogSettings,
}
# As older services call what is a setting of a group here.
_SEED_NAMES = {
    "BATCH_SIZE": variable_of("predictor", "batch_size"),
    "POLLING_INTERVAL_SECONDS": variable_of("predictor", "poll_seconds"),
    "MODEL_CACHE_SIZE": variable_of("predictor", "model_cache"),
    "DEFAULT_ALERT_THRESHOLD": variable_of("alerts", "threshold"),
    "ALERT_WEBHOOK_URL": variable_of("alerts", "webhook_url"),
}
_TEXT_KEYS = frozenset({"database_url", "data_dir"})


@dataclass(frozen=True)
class Settings:
    """Where Kurswerk keeps its data, and how its service runs.

    Attributes
    ----------
    data_dir
        Holds the embedded database, quarantined rows, compiled kernels and the counts of metrics.
    database_url
        An external PostgreSQL; None starts the embedded one.
    http, worker, predictor, alerts, log
        Groups for ``kurswerk serve`` and ``kurswerk worker``.
    """

    data_dir: Path
    database_url: str | None = None
    http: HttpSettings = field(default_factory=HttpSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    predictor: PredictorSettings = field(default_factory=PredictorSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def quarantine_dir(self) -> Path:
        """Where refused rows are kept."""
        return self.data_dir / "quarantine"

    @property
    def kernel_cache_dir(self) -> Path:
        """Where compiled kernels are kept."""
        return self.data_dir / "cache" / "kernels"

    @property
    def metrics_dir(self) -> Path:
        """Where the processes of one data directory count together."""
        return self.data_dir / "metrics"


def read_settings(environment: Mapping[str, str], directory: Path) -> Settings:
    """Read the settings in force.

    Parameters
    ----------
    environment
        Usually ``os.environ``.
    directory
        Where ``kurswerk.toml`` is looked for unless ``KURSWERK_CONFIG`` names a file.

    Raises
    ------
    InvalidInputError
        If the file is no TOML, or a value has the wrong type or lies outside its limits.
    """
    path, file = _read_file(environment, directory)
    data_dir = environment.get("KURSWERK_DATA_DIR") or file.get("data_dir") or platformdirs.user_data_dir("kurswerk")
    url = environment.get("KURSWERK_DATABASE_URL") or _seed_url(environment) or file.get("database_url")
    older = {ours: environment[name] for name, ours in _SEED_NAMES.items() if environment.get(name)}
    named = {**older, **environment}
    groups = {name: read_group(kind, name, named, file.get(name, {}), str(path)) for name, kind in GROUPS.items()}
    return Settings(data_dir=Path(data_dir).expanduser().absolute(), database_url=_checked_url(url), **groups)


def _read_file(environment: Mapping[str, str], directory: Path) -> tuple[Path, dict[str, Any]]:
    named = environment.get("KURSWERK_CONFIG")
    path = Path(named) if named else directory / CONFIG_FILE
    if not named and not path.is_file():
        return path, {}
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError("settings.file_not_readable", path=path, reason=error.strerror) from error
    except ValueError as error:
        raise InvalidInputError("settings.no_toml", path=path, reason=error) from error
    for key, value in document.items():
        if key not in _TEXT_KEYS | set(GROUPS):
            raise UnknownNameError("settings.unknown", name=key, known=_TEXT_KEYS | set(GROUPS), path=path)
        if key in _TEXT_KEYS and not isinstance(value, str):
            raise InvalidInputError("settings.not_text", path=path, key=key, value=value)
        if key in GROUPS and not isinstance(value, dict):
            raise InvalidInputError("settings.not_a_table", path=path, key=key, group=key)
    return path, document


def _seed_url(environment: Mapping[str, str]) -> str | None:
    """Build a URL from the names that the older services use."""
    if dsn := environment.get("DB_DSN"):
        return dsn
    host = environment.get("DB_HOST")
    if not host:
        return None
    port = environment.get("DB_PORT", "5432")
    if not port.isdigit():
        raise InvalidInputError("settings.port_not_a_number", port=port)
    user = quote(environment.get("DB_USER", "postgres"), safe="")
    password = environment.get("DB_PASSWORD")
    secret = f":{quote(password, safe='')}" if password else ""
    name = quote(environment.get("DB_NAME", "postgres"), safe="")
    return f"postgresql://{user}{secret}@{host}:{port}/{name}"


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    plain = scheme.partition("+")[0]  # SQLAlchemy's postgresql+asyncpg:// means the same database
    if not separator or plain not in {"postgresql", "postgres"}:
        raise InvalidInputError("settings.other_database_url", scheme=scheme[:20])
    return f"postgresql://{rest}"
