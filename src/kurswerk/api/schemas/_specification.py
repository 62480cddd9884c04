"""What the OpenAPI document states of a specification: one schema per model type, kind of target and market.

The server validates specifications by `kurswerk.training.ModelSpec`; these schemas are made from the same registers, so
that a body that satisfies them has no wrong hyper-parameter and no wrong target.
"""

import sys
from collections.abc import Iterable

from kurswerk.api.schemas._base import Json
from kurswerk.market import DEFAULT_MARKET, MARKETS, MarketSchema
from kurswerk.models import CLASSIFIERS, FAMILIES, REGRESSORS, ModelFamily
from kurswerk.training.spec import (
    CHANGE_FIELDS,
    COMPARISON_FIELDS,
    FIELDS_ONCE_IN_PARAMS,
    HORIZON_FIELDS,
    RETURN_FIELDS,
    THRESHOLD_FIELDS,
)

_REF = "#/components/schemas/{}"
# JSON knows larger numbers than a double.
_EXCLUSIVE = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
_FINITE = {"minimum": -sys.float_info.max, "maximum": sys.float_info.max}


def specification_schemas(whole: Json) -> dict[str, Json]:
    """Return the components that state what a specification may be.

    Parameters
    ----------
    whole
        The schema of all fields, with each field's type and description.

    Returns
    -------
    dict
        ``ModelCreate`` with all fields, which must satisfy one of each of the others: by ``model_type`` and its
        hyper-parameters, by kind of target, and by market.
    """
    families = {f"ModelCreate{_camel_case(family.name)}": _of_family(family, whole) for family in FAMILIES.values()}
    targets = {
        "ThresholdTarget": _threshold_target(whole),
        "ChangeTarget": _change_target(whole),
        "ComparedChangeTarget": _compared_change_target(whole),
        "ReturnTarget": _return_target(whole),
    }
    markets = {f"Market{_camel_case(market.name)}": _of_market(market) for market in MARKETS.values()}
    mapping = dict(zip(FAMILIES, map(_REF.format, families), strict=True))
    by_type = {**_one_of(families), "discriminator": {"propertyName": "model_type", "mapping": mapping}}
    # ``mints`` and ``instruments`` are two names of one field.
    both = {name: {"type": "array"} for name in ("mints", "instruments")}
    composed = {
        **whole,
        "allOf": [by_type, _one_of(targets), _one_of(markets)],
        "not": {"required": list(both), "properties": both},
    }
    return {"ModelCreate": composed, **families, **targets, **markets}


def without_older_places(composed: Json) -> Json:
    """Return what `specification_schemas` adds to a schema of all fields, for requests that older clients never sent.

    Hyper-parameters are left out: the schemas of model types allow what older clients send inside ``params``.
    """
    _, *target_and_market = composed["allOf"]
    return {"allOf": target_and_market, "not": composed["not"]}


def _of_family(family: ModelFamily, whole: Json) -> Json:
    """Return the schema of specifications of one model type: its hyper-parameters with their ranges."""
    params = family.hyper_parameters.model_json_schema()
    for schema in params["properties"].values():
        schema.pop("basic", None)  # is about forms
    for name in FIELDS_ONCE_IN_PARAMS:
        note = f"As older clients send it; give `{name}` beside `params` instead."
        params["properties"][name] = {**whole["properties"][name], "deprecated": True, "description": note}
    return {
        "title": family.title,
        "description": family.description,
        "type": "object",
        "properties": {"model_type": {"const": family.name, "type": "string"}, "params": params},
        "required": ["model_type"],
    }


def _threshold_target(whole: Json) -> Json:
    """Return the schema of a threshold: it needs operator and value, and a horizon to be reached within."""
    fields = whole["properties"]
    return {
        "title": "Threshold",
        "description": "1 where `target_var` compares so with `target_value`, later.",
        "type": "object",
        "properties": {
            "use_time_based_prediction": {"const": False, "default": False, "type": "boolean"},
            **{name: _given(fields[name]) for name in THRESHOLD_FIELDS},
            **{name: {"type": "null"} for name in (*CHANGE_FIELDS, *COMPARISON_FIELDS, *RETURN_FIELDS)},
            "model_type": {"type": "string", "enum": list(CLASSIFIERS)},
        },
        "required": list(THRESHOLD_FIELDS),
        "anyOf": [
            {"properties": {"horizon_mode": {"const": "at"}, **{name: {"type": "null"} for name in HORIZON_FIELDS}}},
            *_horizons(fields),
        ],
    }


def _change_target(whole: Json) -> Json:
    """Return the schema of a change in percent, which needs a horizon and a direction."""
    return {
        "title": "Change",
        "description": "1 where `target_var` rises or falls by `min_percent_change` percent until the horizon.",
        "type": "object",
        "properties": {
            "use_time_based_prediction": {"const": True, "type": "boolean"},
            **{name: _given(whole["properties"][name]) for name in CHANGE_FIELDS},
            **{name: {"type": "null"} for name in (*THRESHOLD_FIELDS, *COMPARISON_FIELDS, *RETURN_FIELDS)},
            "model_type": {"type": "string", "enum": list(CLASSIFIERS)},
        },
        "required": ["use_time_based_prediction", *CHANGE_FIELDS],
        "anyOf": _horizons(whole["properties"]),
    }


def _compared_change_target(whole: Json) -> Json:
    """Return the schema of a change against other instruments, which needs a share, peers, a horizon and a direction.

    A comparison within sectors is possible in markets that have them alone; the server knows which.
    """
    wanted = (*COMPARISON_FIELDS, "direction")
    fields = whole["properties"]
    return {
        "title": "Compared change",
        "description": "1 where the change of `target_var` is among the upper or lower `quantile` of all instruments'.",
        "type": "object",
        "properties": {
            "use_time_based_prediction": {"const": True, "type": "boolean"},
            **{name: _given(fields[name]) for name in wanted},
            "horizon_mode": {"type": "string", "const": "at"},
            "min_percent_change": {"type": "null"},
            **{name: {"type": "null"} for name in (*THRESHOLD_FIELDS, *RETURN_FIELDS)},
            "model_type": {"type": "string", "enum": list(CLASSIFIERS)},
        },
        "required": ["use_time_based_prediction", *wanted],
        "anyOf": _horizons(fields),
    }


def _return_target(whole: Json) -> Json:
    """Return the schema of a return that is forecast as a number, with the coverage of its interval."""
    others = (*THRESHOLD_FIELDS, *CHANGE_FIELDS, *COMPARISON_FIELDS)
    return {
        "title": "Return",
        "description": "The change of `target_var` in percent up to the horizon, with an interval around the forecast.",
        "type": "object",
        "properties": {
            "target": {"const": "return", "type": "string"},
            "coverage": whole["properties"]["coverage"],
            "horizon_mode": {"const": "at", "default": "at", "type": "string"},
            **{name: {"type": "null"} for name in others},
            "model_type": {"type": "string", "enum": list(REGRESSORS)},
        },
        "required": ["target"],
        "anyOf": _horizons(whole["properties"]),
    }


def _horizons(fields: Json) -> list[Json]:
    """Return the schemas of a horizon: in minutes, or in sessions and then perhaps with a calendar."""
    null = {"type": "null"}
    minutes = {"future_minutes": _given(fields["future_minutes"]), "horizon_sessions": null, "calendar": null}
    sessions = {"horizon_sessions": _given(fields["horizon_sessions"]), "future_minutes": null}
    return [
        {"properties": minutes, "required": ["future_minutes"]},
        {"properties": sessions, "required": ["horizon_sessions"]},
    ]


def _of_market(market: MarketSchema) -> Json:
    """Return the schema of specifications of one market: its columns, and phases where it has some."""
    is_default = market.name == DEFAULT_MARKET
    name = {"const": market.name, "type": "string"} | ({"default": market.name} if is_default else {})
    properties = {"market": name, "target_var": {"type": "string", "enum": list(market.target_columns)}}
    if market.segment is None:
        properties["phases"] = {"type": "null"}
    return {
        "title": market.name,
        "description": f"A specification for the market {market.name}.",
        "type": "object",
        "properties": properties,
        "required": [] if is_default else ["market"],
    }


def _given(field: Json) -> Json:
    """Return the schema of a field that must have a value: without null, and finite if it is a number."""
    schema = next((option for option in field.get("anyOf", (field,)) if option.get("type") != "null"), field)
    if schema.get("type") != "number":
        return schema
    limits = {name: bound for name, bound in _FINITE.items() if not {name, _EXCLUSIVE[name]} & set(schema)}
    return schema | limits


def _one_of(names: Iterable[str]) -> Json:
    return {"oneOf": [{"$ref": _REF.format(name)} for name in names]}


def _camel_case(name: str) -> str:
    return "".join(map(str.capitalize, name.split("_")))
