"""The fields of the form for a model, and the specification made from them."""

import shlex
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from kurswerk.core.errors import KurswerkError
from kurswerk.core.validation import wrong_fields
from kurswerk.dashboard.widgets.trade_costs import COST_FIELDS, costs_from_fields
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import DEFAULT_MARKET, Clock, MarketSchema, Role
from kurswerk.models import FAMILIES

# Model type → its hyper-parameters that the form offers; families share the field of a name.
PARAMS_BY_TYPE: Final = {name: family.hyper_parameters.form_fields() for name, family in FAMILIES.items()}
PARAM_FIELDS: Final = {field.name: field for fields in PARAMS_BY_TYPE.values() for field in fields}
# Field of the form → the property that holds its value.
FIELDS: Final = {
    "name": "value",
    "market": "data",
    "model_type": "value",
    "kind": "value",
    "target_var": "value",
    "future_minutes": "value",
    "horizon_sessions": "value",
    "calendar": "value",
    "min_percent_change": "value",
    "direction": "value",
    "horizon_mode": "value",
    "operator": "value",
    "target_value": "value",
    "coverage": "value",
    "features": "value",
    "indicators": "value",
    "use_engineered_features": "checked",
    "feature_engineering_windows": "value",
    "phases": "value",
    "mints": "value",
    "use_smote": "checked",
    "cv_splits": "value",
    **COST_FIELDS,
    **{name: "checked" if field.kind == "flag" else "value" for name, field in PARAM_FIELDS.items()},
    "description": "value",
}
CHECKED: Final = (
    "name",
    "target_var",
    "future_minutes",
    "horizon_sessions",
    "calendar",
    "min_percent_change",
    "target_value",
    "coverage",
    "features",
    "indicators",
    "feature_engineering_windows",
    "cv_splits",
    "costs",
)
_PREFERRED: Final = ("volume_sol", "buy_pressure_ratio", "unique_signer_ratio", "num_whale_buys")
_INDICATORS: Final = ("rsi_14", "sma_20")
_WITHIN_MINUTES: Final = {"future_minutes": 10, "min_percent_change": 20}
_CHANGE_FIELDS: Final = ("min_percent_change", "direction", "horizon_mode")
_LEVEL_FIELDS: Final = ("operator", "target_value")


def defaults(market: MarketSchema, columns: Collection[str]) -> dict[str, Any]:
    """Return what the form holds before anybody touches it; ``columns`` are those that the market's table has."""
    close = market.roles.get(Role.CLOSE, "")
    price = close if close in columns else next(iter(columns), close)
    preferred = [name for name in _PREFERRED if name in columns]
    usual = preferred or [name for name in columns if name != price][:4]
    # Where bars are days, minutes mean nothing, and nothing moves by a fifth.
    daily = market.clock is Clock.SESSIONS
    return {
        "model_type": "xgboost",
        "features": [*([market.roles[Role.VOLUME]] if daily else usual), *(_INDICATORS if daily else ())],
        "target_var": price,
        "use_time_based_prediction": True,
        **({"horizon_sessions": 5, "min_percent_change": 3} if daily else _WITHIN_MINUTES),
        "direction": "up",
        "horizon_mode": "at",
        "use_engineered_features": True,
        "feature_engineering_windows": [5, 10, 15],
        "use_smote": True,
        "cv_splits": 5,
        "params": {},
    }


def available_name(preferred: str, taken: Collection[str]) -> str:
    """Return a name that no model has.

    Examples
    --------
    >>> available_name("forest", {"forest", "forest-2"}), available_name("boost", {"forest"})
    ('forest-3', 'boost')
    """
    if preferred not in taken:
        return preferred
    stem, _, number = preferred.rpartition("-")
    stem = stem if stem and number.isdigit() else preferred
    k = 2
    while f"{stem}-{k}" in taken:
        k += 1
    return f"{stem}-{k}"


def parse_times(start: str, end: str) -> tuple[datetime, datetime]:
    """Read two ISO times as UTC."""
    found = [datetime.fromisoformat(text) for text in (start, end)]
    first, last = [(one if one.tzinfo else one.replace(tzinfo=UTC)).astimezone(UTC) for one in found]
    return first, last


def specification_from_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what the form holds into the JSON of a specification.

    Examples
    --------
    >>> fields = {"name": "a", "model_type": "xgboost", "kind": "change", "features": ["volume_sol"],
    ...           "indicators": ["rsi_14"], "future_minutes": 10, "max_depth": 4, "n_estimators": ""}
    >>> found = specification_from_fields(fields)
    >>> found["features"], found["use_time_based_prediction"], found["params"]
    (['volume_sol', 'rsi_14'], True, {'max_depth': 4})
    """
    kind = fields.get("kind")
    document: dict[str, Any] = {
        "name": (fields.get("name") or "").strip(),
        "model_type": fields.get("model_type"),
        "features": [*(fields.get("features") or []), *(fields.get("indicators") or [])],
        "target_var": fields.get("target_var"),
        **({"target": "return"} if kind == "return" else {"use_time_based_prediction": kind == "change"}),
    }
    document |= _target_of(fields)
    document |= {
        "use_engineered_features": bool(fields.get("use_engineered_features")),
        "use_smote": bool(fields.get("use_smote")),
        "cv_splits": _filled(fields.get("cv_splits"), 5),
        "params": _params_of(fields),
    }
    if (costs := costs_from_fields(fields)) is not None:
        document["costs"] = costs
    market = fields.get("market") or DEFAULT_MARKET
    if market != DEFAULT_MARKET:
        document["market"] = market
    windows = fields.get("feature_engineering_windows")
    if document["use_engineered_features"] and windows:
        document["feature_engineering_windows"] = [int(one) if str(one).isdigit() else one for one in windows]
    if fields.get("phases"):
        document["phases"] = [int(one) for one in fields["phases"]]
    if fields.get("mints"):
        document["mints" if market == DEFAULT_MARKET else "instruments"] = list(fields["mints"])
    if (fields.get("description") or "").strip():
        document["description"] = fields["description"].strip()
    return document


def _target_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    sessions = _filled(fields.get("horizon_sessions"), None) is not None
    horizon = ("horizon_sessions", "calendar") if sessions else ("future_minutes",)
    by_kind = {"change": (*horizon, *_CHANGE_FIELDS), "return": (*horizon, "coverage")}
    names = by_kind.get(str(fields.get("kind")), _LEVEL_FIELDS)
    return {name: fields[name] for name in names if _filled(fields.get(name), None) is not None}


def _params_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in PARAMS_BY_TYPE.get(str(fields.get("model_type")), ())]
    return {name: fields[name] for name in names if _filled(fields.get(name), None) is not None}


def _filled(value: Any, otherwise: Any) -> Any:
    return otherwise if value in (None, "") else value


def field_errors(error: KurswerkError, user: UserContext) -> dict[str, str]:
    """Sort what is wrong by field; what belongs to none stands under an empty name."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        found: dict[str, str] = {}
        for field, message in wrong_fields(cause.errors(include_url=False)):
            found[field.partition(".")[0]] = user.message(message)
        return found
    return {"": user.message(error)}


def curl_command(document: str, page_url: str | None, api_path: str, *, needs_key: bool) -> str:
    r"""Return the command that orders the same, for the address that the browser has.

    Parameters
    ----------
    page_url
        Of the form, as the browser has it; what stands before ``/dashboard`` leads to the API too.
    needs_key
        Whether the API asks for a key; its header is shown with a placeholder then.

    Examples
    --------
    >>> print(curl_command("{}", "https://host/ml/dashboard/new?clone=1", "/api", needs_key=True))
    curl -X POST https://host/ml/api/models/create \
      -H 'Content-Type: application/json' \
      -H 'X-API-Key: YOUR_KEY' \
      -d '{}'
    """
    server = (page_url or "http://localhost:8000").partition("/dashboard")[0].rstrip("/")
    lines = [
        f"curl -X POST {shlex.quote(f'{server}{api_path}/models/create')}",
        "  -H 'Content-Type: application/json'",
        *(["  -H 'X-API-Key: YOUR_KEY'"] if needs_key else []),
        f"  -d {shlex.quote(document)}",
    ]
    return " \\\n".join(lines)
