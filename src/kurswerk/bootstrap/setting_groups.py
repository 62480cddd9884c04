"""The groups of settings: each field with its default, its limits and what it means.

The variable of a field is ``KURSWERK_<GROUP>_<FIELD>``; in ``kurswerk.toml`` it is ``field`` under ``[group]``.
A new group is a class here and a field of `kurswerk.bootstrap.settings.Settings`; ``tools/env_example.py`` then writes
it into ``.env.example``.
"""

import ipaddress
import re
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

_MODEL_DAYS = re.compile(r"[1-9]\d{0,17}:[1-9]\d{0,3}")
_MOST_DAYS = 36_500
_WEB_ADDRESS = ("http://", "https://")
_SOCKET_ADDRESS = ("ws://", "wss://")
_PATH_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def _off_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


def split_at_commas(value: Any) -> Any:
    """Return the parts of a text, without blanks around them; other values as they are."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _web_address(value: str) -> str:
    if not value.startswith(_WEB_ADDRESS):
        raise PydanticCustomError("wrong_beginning", "must begin otherwise", {"beginnings": _WEB_ADDRESS})
    return value


def _socket_address(value: str) -> str:
    if not value.startswith(_SOCKET_ADDRESS):
        raise PydanticCustomError("wrong_beginning", "must begin otherwise", {"beginnings": _SOCKET_ADDRESS})
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise PydanticCustomError("no_network", "must be an address or a network", {"text": text}) from None
    return value


def _path_prefix(value: str) -> str:
    found = value.rstrip("/")
    if found and not _PATH_PREFIX.fullmatch(found):
        raise PydanticCustomError("no_path_prefix", "must be a path")
    return found


def _days_of_models(pairs: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_MODEL_DAYS.fullmatch(pair) for pair in pairs):
        raise PydanticCustomError("no_days_of_models", "must be pairs")
    return pairs


Text = Annotated[str | None, BeforeValidator(_off_is_none)]
Secret = Annotated[SecretStr | None, BeforeValidator(_off_is_none)]
WebAddress = Annotated[Annotated[str, AfterValidator(_web_address)] | None, BeforeValidator(_off_is_none)]
SocketAddress = Annotated[str, AfterValidator(_socket_address)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas), AfterValidator(_networks)]
PathPrefix = Annotated[str, AfterValidator(_path_prefix)]
DaysOfModels = Annotated[Names, AfterValidator(_days_of_models)]


def setting(default: Any, meaning: str, *, older_name: str | None = None, **limits: Any) -> Any:
    """Return a field that knows what it means; ``older_name`` is the variable that older services set instead."""
    return Field(default, description=meaning, json_schema_extra={"older_name": older_name}, **limits)


class SettingGroup(BaseModel):
    """Settings that belong together; a value that nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class HttpSettings(SettingGroup):
    """Where the API listens and whom it answers."""

    host: str = setting("127.0.0.1", "address to listen on; any but loopback needs API keys")
    port: int = setting(8000, "port to listen on; 0 takes a free one", ge=0, le=65535)
    require_keys: bool | None = setting(None, "whether calls need an API key; empty: on any address but loopback")
    allowed_hosts: Names = setting(
        (), "names answered in the Host header, parted by commas; empty: this machine's where no keys are required"
    )
    read_limit: Text = setting("6000/minute", "reading calls per client; 'off' is no limit")
    write_limit: Text = setting("600/minute", "changing calls per client; 'off' is no limit")
    redis_url: Secret = setting(None, "a Redis that counts the calls of all API processes together (kurswerk[redis])")
    trusted_proxies: Networks = setting(
        (),
        "addresses or networks of reverse proxies, parted by commas,"
        " whose X-Forwarded-For, -Proto, -Host and -Prefix count",
    )
    path_prefix: PathPrefix = setting("", "path under which a reverse proxy serves all of it, such as /kurswerk")
    hsts_seconds: int = setting(
        31_536_000, "how long browsers keep to HTTPS once a proxy has served it; 0 sends no such header", ge=0
    )
    metrics_token: Secret = setting(None, "bearer token that Prometheus shows for /metrics, instead of an API key")


class HealthSettings(SettingGroup):
    """A small port with /health, /ready and /metrics, for every part of the service."""

    host: str = setting("127.0.0.1", "address of that port")
    port: int | None = setting(
        None, "the port; 0 takes a free one, empty: none", older_name="METRICS_PORT", ge=0, le=65535
    )


class WorkerSettings(SettingGroup):
    """How much work is done at once."""

    concurrency: int = setting(1, "jobs at once; each is a process of its own", ge=1, le=256)
    memory_mb: int | None = setting(
        None, "memory for one job; empty: 70 % of the container's or machine's, shared by the jobs", ge=64
    )


class PredictorSettings(SettingGroup):
    """How new rows are predicted."""

    lanes: int = setting(1, "threads that share the coins, each with a connection of its own", ge=1, le=16)
    batch_size: int = setting(
        2000, "most rows predicted in one transaction; none waits for it", older_name="BATCH_SIZE", ge=1, le=20_000
    )
    poll_seconds: int = setting(
        1,
        "pause between looks at a table without triggers; lost notifications cost as much",
        older_name="POLLING_INTERVAL_SECONDS",
        ge=1,
        le=600,
    )
    overlap_seconds: int = setting(
        120, "how far behind its newest row a table without triggers is looked at", ge=1, le=86_400
    )
    most_coins: int = setting(100_000, "coins in memory; those silent for longest come back from the table", ge=1)
    model_cache: int = setting(
        32, "models kept loaded beside the active ones", older_name="MODEL_CACHE_SIZE", ge=1, le=1000
    )
    store_features: Literal["none", "alerts", "all"] = setting("none", "whose features are kept with the prediction")
    session_grace_seconds: float = setting(
        1800.0, "how long after a session's close its rows are waited for, before they are compared", ge=0, le=86_400
    )
    bucket_grace_seconds: float = setting(
        5.0, "how long after the end of a time bucket its rows are waited for, before they are compared", ge=0, le=3600
    )
    moment_clock: Literal["wall", "rows"] = setting(
        "wall", "what that time is measured by; rows where stored rows are replayed: by the newest of them"
    )


class AlertSettings(SettingGroup):
    """When a prediction is an alert, and where all of them go."""

    threshold: float = setting(
        0.7,
        "probability from which on a new model's prediction is an alert",
        older_name="DEFAULT_ALERT_THRESHOLD",
        ge=0,
        le=1,
    )
    webhook_url: WebAddress = setting(
        None, "where every alert is posted, by a rule named ALERT_WEBHOOK_URL", older_name="ALERT_WEBHOOK_URL"
    )
    webhook_secret: Secret = setting(None, "signs what is posted there")


class CollectorSettings(SettingGroup):
    """What is collected, and from where."""

    pumpportal: bool = setting(False, "whether kurswerk serve collects coins from PumpPortal")
    exchange_rates: bool = setting(False, "whether kurswerk serve collects exchange rates")
    pumpportal_url: SocketAddress = setting("wss://pumpportal.fun/api/data", "WebSocket of PumpPortal's data API")
    pumpportal_api_key: Secret = setting(None, "its API key; trades are given to holders of one alone")
    grace_seconds: float = setting(2.0, "how long a window waits for late and reordered trades", ge=0, le=60)
    silence_minutes: float = setting(60.0, "a coin without a trade for so long is followed no more", ge=1, le=1440)
    most_coins: int = setting(20_000, "coins followed at once; beyond it the longest silent is given up", ge=1)
    rates_source: Literal["kraken", "coingecko"] = setting("kraken", "who states exchange rates")
    rates_url: WebAddress = setting(None, "another address of that service; empty: its own")
    rates_api_key: Secret = setting(None, "its API key, if it needs one")
    rates_seconds: float = setting(60.0, "from one reading of exchange rates to the next", ge=10, le=86_400)
    rates_most_jump: float = setting(
        0.2, "largest change of a rate believed at once, as a share; any is after three readings", ge=0.001, le=10
    )
    stocks: Names = setting((), "symbols of stocks that kurswerk serve collects, parted by commas; empty: none")
    stocks_source: Literal["yahoo", "alphavantage"] = setting("yahoo", "who states bars of stocks")
    stocks_interval: Literal["1m", "5m", "15m", "30m", "1h", "1d"] = setting("1d", "length of a bar")
    stocks_exchange: Text = setting(None, "where all these stocks trade; empty: what is known of each, or XNYS")
    stocks_seconds: float = setting(
        300.0, "pause after a round that left bars missing; doubles while rounds bring nothing", ge=1, le=86_400
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """What ``kurswerk serve`` collects, by the names of the commands."""
        chosen = {"pumpportal": self.pumpportal, "exchange-rates": self.exchange_rates, "stocks": bool(self.stocks)}
        return tuple(name for name, is_chosen in chosen.items() if is_chosen)


class FetchSettings(SettingGroup):
    """How bars of stocks are fetched from providers."""

    keep_minutes: float = setting(
        15.0, "how long a provider's answer is kept for who asks the same again", ge=0, le=1440
    )
    delay_minutes: float = setting(
        15.0, "how long after its end a bar counts as finished; providers correct it until then", ge=0, le=1440
    )


class AlphaVantageSettings(SettingGroup):
    """Alpha Vantage, a provider of bars of stocks."""

    key: Secret = setting(None, "its API key")
    url: WebAddress = setting(None, "another address of that service; empty: its own")
    calls_per_minute: float = setting(5.0, "how often it may be asked; what the key's plan allows", ge=0.01, le=6000)


class CacheSettings(SettingGroup):
    """How much is kept of what can be computed again."""

    features_mb: int = setting(1024, "disk for features of trainings and tests; 0 keeps none", ge=0, le=10_000_000)
    features_days: int = setting(30, "features that were not asked for so long are removed", ge=1, le=36_500)


class YahooSettings(SettingGroup):
    """Yahoo Finance, a provider of bars of stocks for personal use (kurswerk[yahoo])."""

    calls_per_minute: float = setting(60.0, "how often it may be asked", ge=0.01, le=6000)
    proxy: Secret = setting(None, "address of a proxy by way of which it is asked; empty: directly")
    ca_file: Text = setting(None, "certificates to trust instead of the usual ones, such as a proxy's; a PEM file")


class BackupSettings(SettingGroup):
    """Where backups go and how they are encrypted."""

    store: Text = setting(None, "folder or URL (file://, s3://, …) of this installation's backups")
    key: Secret = setting(None, "encrypts backups; at least 16 characters")
    key_file: Text = setting(None, "a file that holds the key instead")
    parallel: int = setting(2, "connections that read or load at once; each takes about 100 MB", ge=1, le=64)
    level: int = setting(1, "of compression by Zstandard; higher is smaller and slower", ge=1, le=19)


class OutcomeSettings(SettingGroup):
    """When predictions are compared with the market, and how long what became of them is kept."""

    delay_seconds: int = setting(
        120,
        "how long after the end of its horizon a prediction is judged, by the market's newest row",
        ge=0,
        le=604_800,
    )
    keep_days: int | None = setting(
        None, "how many days outcomes are kept, by the time of their row; empty: for ever", ge=1, le=36_500
    )


class RetentionSettings(SettingGroup):
    """For how many days records are kept; empty keeps them."""

    predictions_days: int | None = setting(
        None, "predictions, by the time of their row; a partition is dropped as a whole", ge=1, le=_MOST_DAYS
    )
    archive: bool = setting(False, "whether predictions are kept as Parquet when their partition is dropped")
    model_days: DaysOfModels = setting(
        (), "models whose predictions are deleted earlier, as ID:DAYS, parted by commas; these are not archived"
    )
    features_days: int | None = setting(None, "features stored with predictions", ge=1, le=_MOST_DAYS)
    alerts_days: int | None = setting(None, "alerts, by when they were raised", ge=1, le=_MOST_DAYS)
    deliveries_days: int | None = setting(30, "messages that were sent or given up", ge=1, le=_MOST_DAYS)
    jobs_days: int | None = setting(
        None, "jobs that ended, with their log and the file they wrote", ge=1, le=_MOST_DAYS
    )
    job_log_days: int | None = setting(None, "the log of jobs that ended", ge=1, le=_MOST_DAYS)
    feed_days: int | None = setting(
        None, "rows that wait to be predicted; later ones are given up without a prediction", ge=1, le=_MOST_DAYS
    )
    states_days: int | None = setting(30, "stored states of coins without a new row", ge=1, le=_MOST_DAYS)
    moments_days: int | None = setting(
        None, "values that rows of a moment were compared with, which a replay needs", ge=1, le=_MOST_DAYS
    )

    @property
    def days_of_models(self) -> dict[int, int]:
        """Model id → days.

        Examples
        --------
        >>> RetentionSettings(model_days="7:30, 12:2").days_of_models
        {7: 30, 12: 2}
        """
        return {int(model): int(days) for model, days in (pair.split(":") for pair in self.model_days)}


class LogSettings(SettingGroup):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "how much is logged")
    format: Literal["auto", "json", "text"] = setting("auto", "auto: text on a terminal, else JSON")


def variable_of(*keys: str) -> str:
    """Return a setting's environment variable.

    Examples
    --------
    >>> variable_of("http", "port")
    'KURSWERK_HTTP_PORT'
    """
    return "_".join(("KURSWERK", *keys)).upper()


def older_name_of(field: FieldInfo) -> str | None:
    """Return the variable that older services set for a setting, if there is one.

    Examples
    --------
    >>> older_name_of(PredictorSettings.model_fields["batch_size"])
    'BATCH_SIZE'
    """
    extra = field.json_schema_extra
    return str(name) if isinstance(extra, dict) and (name := extra.get("older_name")) else None


def is_secret(annotation: Any) -> bool:
    """Whether a setting of this type is a secret, which may also come from a file.

    Examples
    --------
    >>> is_secret(AlertSettings.model_fields["webhook_secret"].annotation), is_secret(str | None)
    (True, False)
    """
    return annotation is SecretStr or any(map(is_secret, get_args(annotation)))


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """Return the words that a setting may have; none where others are possible.

    Examples
    --------
    >>> choices_of(PredictorSettings.model_fields["store_features"])
    ('none', 'alerts', 'all')
    """
    arguments = get_args(field.annotation)
    return arguments if arguments and all(isinstance(choice, str) for choice in arguments) else ()


def limits_of(field: FieldInfo) -> tuple[Any, Any]:
    """Return the least and the greatest value of a setting that is a number; None is no limit.

    Examples
    --------
    >>> limits_of(WorkerSettings.model_fields["memory_mb"])
    (64, None)
    """
    least = next((rule.ge for rule in field.metadata if isinstance(rule, Ge)), None)
    most = next((rule.le for rule in field.metadata if isinstance(rule, Le)), None)
    return least, most
