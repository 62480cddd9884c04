"""Settings, read once from the environment and an optional ``kurswerk.toml``; ``.env.example`` lists them all.

The environment wins over the file. Names: ``KURSWERK_DATABASE_URL``, ``KURSWERK_DATA_DIR``, ``KURSWERK_CONFIG``, and
``KURSWERK_<GROUP>_<FIELD>`` for the groups; ``DB_DSN`` or ``DB_HOST``, ``DB_PORT``, ``DB_NAME``, ``DB_USER``,
``DB_PASSWORD`` are honoured as older services set them, as are ``BATCH_SIZE``,
``POLLING_INTERVAL_SECONDS``, ``MODEL_CACHE_SIZE``, ``DEFAULT_ALERT_THRESHOLD``, ``ALERT_WEBHOOK_URL`` and
``METRICS_PORT``; those of `WITHOUT_EFFECT` may be set and change nothing. A secret may come from a file instead, named
by the variable with ``_FILE`` behind it. The settings file holds the same as lower-case keys: ``data_dir = "…"``, and a
table for each group: ``[http]`` with ``port = 8000``.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

from kurswerk.bootstrap.setting_groups import (
    AlertSettings,
    AlphaVantageSettings,
    BackupSettings,
    CacheSettings,
    CollectorSettings,
    FetchSettings,
    HealthSettings,
    HttpSettings,
    LogSettings,
    OutcomeSettings,
    PredictorSettings,
    RetentionSettings,
    SettingGroup,
    WorkerSettings,
    YahooSettings,
    choices_of,
    is_secret,
    limits_of,
    older_name_of,
    split_at_commas,
    variable_of,
)
from kurswerk.core.errors import InvalidInputError, KurswerkError, UnknownNameError

CONFIG_FILE = "kurswerk.toml"
# Secrets among the variables that older services set.
_OLDER_SECRETS = ("DB_DSN", "DB_PASSWORD")
# Those that the database's URL may be made of.
_DATABASE_SECRETS = ("KURSWERK_DATABASE_URL", *_OLDER_SECRETS)
# What older services set and nothing here reads, with the reason.
WITHOUT_EFFECT = {
    "BATCH_TIMEOUT_SECONDS": "no batch waits",
    "MODEL_STORAGE_PATH": "models lie in the database, where every process finds them",
    "FEATURE_HISTORY_SIZE": "each feature keeps exactly the rows that its definition looks back on",
    "MAX_CONCURRENT_PREDICTIONS": "rows are predicted in batches; KURSWERK_PREDICTOR_LANES shares them among threads",
    "HEALTH_CHECK_INTERVAL": "health is measured when somebody asks, at most once a second",
}


def _plain_scheme(url: SecretStr) -> SecretStr:
    scheme, separator, rest = url.get_secret_value().partition("://")
    plain = scheme.partition("+")[0]  # SQLAlchemy's postgresql+asyncpg:// means the same database
    if not separator or plain not in {"postgresql", "postgres"}:
        raise InvalidInputError("settings.other_database_url", scheme=scheme[:20])
    return SecretStr(f"postgresql://{rest}")


class Settings(BaseSettings):
    """Where Kurswerk keeps its data, and how its service runs.

    Made directly it has the values given and the defaults; `read_settings` asks the environment and the file.

    Attributes
    ----------
    data_dir
        Holds the embedded database, quarantined rows, archived predictions, compiled kernels and the counts of metrics.
    database_url
        An external PostgreSQL; None starts the embedded one.
    stop_database
        Whether the embedded PostgreSQL ends with the service, as it has to in a container.
    api_keys
        Keys that an API makes sure of when it starts: ``NAME:SCOPE:KEY``, parted by commas or lines.
    feature_files
        Python files with features of your own, parted by commas; every process runs them when it starts.
    http, health, worker, predictor, alerts, collector, fetch, alphavantage, yahoo, cache, backup, outcomes, retention,
    log
        Groups for ``kurswerk serve`` and ``kurswerk worker``.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="KURSWERK_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        hide_input_in_errors=True,
    )

    data_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Field(
        default_factory=lambda: platformdirs.user_data_path("kurswerk"), validate_default=True
    )
    database_url: Annotated[SecretStr, AfterValidator(_plain_scheme)] | None = None
    stop_database: bool = False
    api_keys: SecretStr | None = None
    feature_files: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(split_at_commas)] = ()
    http: HttpSettings = HttpSettings()
    health: HealthSettings = HealthSettings()
    worker: WorkerSettings = WorkerSettings()
    predictor: PredictorSettings = PredictorSettings()
    alerts: AlertSettings = AlertSettings()
    collector: CollectorSettings = CollectorSettings()
    fetch: FetchSettings = FetchSettings()
    alphavantage: AlphaVantageSettings = AlphaVantageSettings()
    yahoo: YahooSettings = YahooSettings()
    cache: CacheSettings = CacheSettings()
    backup: BackupSettings = BackupSettings()
    outcomes: OutcomeSettings = OutcomeSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    _database_url_again: Callable[[], str] | None = PrivateAttr(None)

    @property
    def database_source(self) -> str | Callable[[], str] | None:
        """The database's URL, or, where a file holds it or its password, what reads it again; None: embedded."""
        if self._database_url_again is not None:
            return self._database_url_again
        return self.database_url.get_secret_value() if self.database_url else None

    @property
    def quarantine_dir(self) -> Path:
        """Where refused rows are kept."""
        return self.data_dir / "quarantine"

    @property
    def archive_dir(self) -> Path:
        """Where predictions of dropped partitions are kept."""
        return self.data_dir / "archive" / "predictions"

    @property
    def answers_dir(self) -> Path:
        """Where answers of providers are kept for some minutes."""
        return self.data_dir / "cache" / "answers"

    @property
    def kernel_cache_dir(self) -> Path:
        """Where compiled kernels are kept."""
        return self.data_dir / "cache" / "kernels"

    @property
    def metrics_dir(self) -> Path:
        """Where the processes of one data directory count together."""
        return self.data_dir / "metrics"

    def replace_in(self, group: str, **values: Any) -> "Settings":
        """Return the settings with some values of a group changed.

        Examples
        --------
        >>> Settings().replace_in("http", port=0).http.port
        0
        """
        return self.model_copy(update={group: getattr(self, group).model_copy(update=values)})

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let settings that are made directly depend on nothing around them."""
        return (init_settings,)


GROUPS: dict[str, type[SettingGroup]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, SettingGroup)
}


class _SettingsFile(TomlConfigSettingsSource):
    """The settings file, its values written as the environment would have them, so that both are read alike."""

    @override
    def __call__(self) -> dict[str, Any]:
        return {
            name: {key: _as_text(item) for key, item in value.items()} if isinstance(value, dict) else value
            for name, value in super().__call__().items()
            if value != ""
        }


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
    UnknownNameError
        If the file has a key that is no setting, or a value is none of those it may have.
    """
    named = environment.get("KURSWERK_CONFIG")
    path = Path(named) if named else directory / CONFIG_FILE
    file = _read_file(path, must_exist=bool(named))
    variables = {keys: variable for keys, field in _leaves() if (variable := _variable_set(environment, keys, field))}
    source = EnvSettingsSource(Settings)
    source.env_vars = {
        variable_of(*keys).lower(): _value_in(environment, variable) or "" for keys, variable in variables.items()
    }
    if ("database_url",) not in variables and (url := _older_url(environment)):
        source.env_vars["kurswerk_database_url"] = url
    try:
        settings = Settings(_build_sources=((source, file), {}))
    except ValidationError as error:
        # Not as its cause: that would bring the values, secrets among them, into tracebacks.
        raise _refusal(error.errors(include_url=False)[0], variables, path) from None
    if any(environment.get(f"{name}_FILE") for name in _DATABASE_SECRETS) and settings.database_url:
        settings._database_url_again = lambda: _database_url(environment)  # noqa: SLF001 - of the class above
    return settings


def _database_url(environment: Mapping[str, str]) -> str:
    """Return the database's URL as the files that the environment names hold it now.

    Raises
    ------
    InvalidInputError
        If a file cannot be read, or holds no such URL.
    """
    url = _value_in(environment, "KURSWERK_DATABASE_URL") or _older_url(environment) or ""
    return _plain_scheme(SecretStr(url)).get_secret_value()


def current_settings() -> Settings:
    """Read the settings in force for this process."""
    return read_settings(os.environ, Path.cwd())


def _leaves() -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield every setting with its keys, ``("data_dir",)`` or ``("http", "port")``."""
    for name, field in Settings.model_fields.items():
        if name not in GROUPS:
            yield (name,), field
        else:
            yield from (((name, key), inner) for key, inner in GROUPS[name].model_fields.items())


def _variable_set(environment: Mapping[str, str], keys: tuple[str, ...], field: FieldInfo) -> str | None:
    """Return the variable that decides a setting; an empty one counts as not set."""
    names = filter(None, (variable_of(*keys), older_name_of(field)))
    return next((name for name in names if _value_in(environment, name)), None)


@cache
def secret_variables() -> frozenset[str]:
    """Return the variables of secrets that may also be given as a file; some have a setting of their own for it."""
    fields = {variable_of(*keys): field.annotation for keys, field in _leaves()}
    secrets = {name for name, kind in fields.items() if is_secret(kind) and f"{name}_FILE" not in fields}
    return frozenset(secrets.union(_OLDER_SECRETS))


def _value_in(environment: Mapping[str, str], name: str) -> str | None:
    """Return a variable's value, or what the file that ``<name>_FILE`` names holds, without its last end of line."""
    value = environment.get(name)
    path = environment.get(f"{name}_FILE") if name in secret_variables() else None
    if not path:
        return value
    if value:
        raise InvalidInputError("settings.secret_given_twice", name=name)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise InvalidInputError("settings.file_not_readable", path=path, reason=error.strerror) from error
    except UnicodeDecodeError as error:  # never with the bytes
        raise InvalidInputError("settings.file_not_readable", path=path, reason="not UTF-8") from error


def _read_file(path: Path, *, must_exist: bool) -> _SettingsFile:
    try:
        file = _SettingsFile(Settings, path)
    except OSError as error:
        raise InvalidInputError("settings.file_not_readable", path=path, reason=error.strerror) from error
    except ValueError as error:
        raise InvalidInputError("settings.no_toml", path=path, reason=error) from error
    if must_exist and not path.is_file():  # the library takes that for an empty one
        reason = os.strerror(errno.EISDIR if path.is_dir() else errno.ENOENT)
        raise InvalidInputError("settings.file_not_readable", path=path, reason=reason)
    return file


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _older_url(environment: Mapping[str, str]) -> str | None:
    """Build a URL from the names that the older services use."""
    if dsn := _value_in(environment, "DB_DSN"):
        return dsn
    host = environment.get("DB_HOST")
    if not host:
        return None
    port = environment.get("DB_PORT", "5432")
    if not port.isdigit():
        raise InvalidInputError("settings.port_not_a_number", port=port)
    user = quote(environment.get("DB_USER", "postgres"), safe="")
    password = _value_in(environment, "DB_PASSWORD")
    secret = f":{quote(password, safe='')}" if password else ""
    name = quote(environment.get("DB_NAME", "postgres"), safe="")
    return f"postgresql://{user}{secret}@{host}:{port}/{name}"


def _refusal(error: ErrorDetails, variables: Mapping[tuple[str, ...], str], path: Path) -> KurswerkError:
    """Return what is wrong with a setting in our words: where it stands, its value, and what to do."""
    keys = tuple(map(str, error["loc"]))
    known = dict(_leaves())
    if len(keys) == 1 and not error["type"].startswith("bool"):
        return _wrong_key(keys[0], error, path)
    if keys not in known:
        group, name = keys
        return UnknownNameError(
            "settings.unknown_in_group", name=name, known=GROUPS[group].model_fields, place=path, group=group
        )
    return _wrong_value(error, known[keys], variables.get(keys) or f"{path}, {_place(keys)}")


def _place(keys: tuple[str, ...]) -> str:
    return f"[{keys[0]}] {keys[1]}" if len(keys) > 1 else keys[0]


def _wrong_key(key: str, error: ErrorDetails, path: Path) -> KurswerkError:
    if key not in Settings.model_fields:
        return UnknownNameError("settings.unknown", name=key, known=Settings.model_fields, path=path)
    if key in GROUPS:
        return InvalidInputError("settings.not_a_table", path=path, key=key, group=key)
    shown = "**********" if is_secret(Settings.model_fields[key].annotation) else error["input"]
    return InvalidInputError("settings.not_text", path=path, key=key, value=shown)


def _wrong_value(error: ErrorDetails, field: FieldInfo, source: str) -> KurswerkError:
    kind, text = error["type"], error["input"]
    least, most = limits_of(field)
    if kind == "wrong_beginning":
        return InvalidInputError("settings.wrong_beginning", source=source, beginnings=error["ctx"]["beginnings"])
    if kind == "no_network":
        return InvalidInputError("settings.no_network", source=source, text=error["ctx"]["text"])
    if kind in {"no_path_prefix", "no_days_of_models"}:
        code = "settings.no_path_prefix" if kind == "no_path_prefix" else "settings.no_days_of_models"
        return InvalidInputError(code, source=source, text=text)
    if kind == "literal_error":
        return UnknownNameError("settings.unknown_value", name=text, known=choices_of(field), source=source)
    if kind.startswith("bool"):
        return InvalidInputError("settings.not_boolean", source=source, text=text)
    if kind in {"greater_than_equal", "less_than_equal"}:
        if most is None:
            return InvalidInputError("settings.too_small", source=source, value=text, least=least)
        return InvalidInputError("settings.out_of_range", source=source, value=text, least=least, most=most)
    code = "settings.not_a_number" if kind.startswith("float") else "settings.not_a_whole_number"
    return InvalidInputError(code, source=source, text=text)
