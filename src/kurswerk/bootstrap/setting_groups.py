"""The groups of settings: each field with its default, its limits and what it means.

The variable of a field is ``KURSWERK_<GROUP>_<FIELD>``; in ``kurswerk.toml`` it is ``field`` under ``[group]``.
A new group is a class here and a line in `GROUPS`; ``tools/env_example.py`` then writes it into ``.env.example``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from kurswerk.core.errors import InvalidInputError, UnknownNameError

Group = TypeVar("Group")
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Rule:
    """What a setting means, and which values it may have."""

    meaning: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()


def setting(default: Any, meaning: str, **limits: Any) -> Any:
    """Return a dataclass field that knows what it means; ``limits`` are those of `Rule`."""
    return dataclasses.field(default=default, metadata={"rule": Rule(meaning, **limits)})


@dataclass(frozen=True)
class HttpSettings:
    """Where the API listens and whom it answers."""

    host: str = setting("127.0.0.1", "address to listen on; any but loopback needs API keys")
    port: int = setting(8000, "port to listen on; 0 takes a free one", least=0, most=65535)
    require_keys: bool | None = setting(None, "whether calls need an API key; empty: on any address but loopback")
    allowed_hosts: tuple[str, ...] = setting(
        (), "names answered in the Host header, parted by commas; empty: this machine's where no keys are required"
    )
    read_limit: str | None = setting("6000/minute", "reading calls per client; 'off' is no limit")
    write_limit: str | None = setting("600/minute", "changing calls per client; 'off' is no limit")
    redis_url: str | None = setting(
        None, "a Redis that counts the calls of all API processes together (kurswerk[redis])"
    )


@dataclass(frozen=True)
class WorkerSettings:
    """How much work is done at once."""

    concurrency: int = setting(1, "jobs at once; each is a process of its own", least=1, most=256)
    memory_mb: int | None = setting(
        None, "memory for one job; empty: 70 % of the machine's, shared by the jobs", least=64
    )


@dataclass(frozen=True)
class PredictorSettings:
    """How new rows are predicted."""

    lanes: int = setting(1, "threads that share the coins, each with a connection of its own", least=1, most=16)
    batch_size: int = setting(2000, "most rows predicted in one transaction; none waits for it", least=1, most=20_000)
    poll_seconds: int = setting(
        1, "pause between looks at a table without triggers; lost notifications cost as much", least=1, most=600
    )
    overlap_seconds: int = setting(
        120, "how far behind its newest row a table without triggers is looked at", least=1, most=86_400
    )
    most_coins: int = setting(100_000, "coins in memory; those silent for longest come back from the table", least=1)
    model_cache: int = setting(32, "models kept loaded beside the active ones", least=1, most=1000)
    store_features: str = setting(
        "none", "whose features are kept with the prediction", choices=("none", "alerts", "all")
    )


@dataclass(frozen=True)
class AlertSettings:
    """When a prediction is an alert, and where all of them go."""

    threshold: float = setting(0.7, "probability from which on a new model's prediction is an alert", least=0, most=1)
    webhook_url: str | None = setting(
        None, "where every alert is posted, by a rule named ALERT_WEBHOOK_URL", begins=("http://", "https://")
    )
    webhook_secret: str | None = setting(None, "signs what is posted there")


@dataclass(frozen=True)
class LogSettings:
    """What is logged, to standard error."""

    level: str = setting("info", "how much is said", choices=("debug", "info", "warning", "error"))
    format: str = setting("auto", "auto: text on a terminal, else JSON", choices=("auto", "json", "text"))


def read_group(
    kind: type[Group], name: str, environment: Mapping[str, str], table: Mapping[str, Any], place: str
) -> Group:
    """Read a group from the environment, then a table of the settings file, then the defaults.

    Raises
    ------
    UnknownNameError
        If the table, found at ``place``, has a key that is no setting.
    InvalidInputError
        If a value has the wrong type or lies outside its limits.
    """
    rules = rules_of(kind)
    for key in table:
        if key not in rules:
            raise UnknownNameError("settings.unknown_in_group", name=key, known=rules, place=place, group=name)
    types = get_type_hints(kind)
    values = {}
    for field, rule in rules.items():
        variable = variable_of(name, field)
        if given := environment.get(variable):
            values[field] = _parsed(given, types[field], rule, variable)
        elif field in table:
            values[field] = _parsed(_as_text(table[field]), types[field], rule, f"{place}, [{name}] {field}")
    return kind(**values)


def rules_of(kind: type[Any]) -> dict[str, Rule]:
    """Return the rule of each field of a group."""
    return {field.name: field.metadata["rule"] for field in dataclasses.fields(kind)}


def variable_of(group: str, field: str) -> str:
    """Return a setting's environment variable.

    Examples
    --------
    >>> variable_of("http", "port")
    'KURSWERK_HTTP_PORT'
    """
    return f"KURSWERK_{group}_{field}".upper()


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _parsed(text: str, kind: Any, rule: Rule, source: str) -> Any:
    text = text.strip()
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind in {bool, bool | None}:
        if text.lower() not in _YES | _NO:
            raise InvalidInputError("settings.not_boolean", source=source, text=text)
        return text.lower() in _YES
    if kind in {int, int | None, float}:
        return _number(text, float if kind is float else int, rule, source)
    if rule.begins and text.lower() != "off" and not text.startswith(rule.begins):
        raise InvalidInputError("settings.wrong_beginning", source=source, beginnings=rule.begins)
    if rule.choices and text not in rule.choices:
        raise UnknownNameError("settings.unknown_value", name=text, known=rule.choices, source=source)
    return None if kind == str | None and text.lower() == "off" else text


def _number(text: str, kind: type[int] | type[float], rule: Rule, source: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        code = "settings.not_a_number" if kind is float else "settings.not_a_whole_number"
        raise InvalidInputError(code, source=source, text=text) from None
    least, most = rule.least, rule.most
    # Turned round, so that what is no number lies outside, too.
    if not ((least is None or number >= least) and (most is None or number <= most)):
        if most is None:
            raise InvalidInputError("settings.too_small", source=source, value=number, least=least)
        raise InvalidInputError("settings.out_of_range", source=source, value=number, least=least, most=most)
    return number
