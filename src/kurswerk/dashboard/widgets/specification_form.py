"""The fields of the form for a model's specification."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from kurswerk.dashboard.widgets.components import number_input
from kurswerk.dashboard.widgets.market_choice import instruments_word
from kurswerk.dashboard.widgets.specification_document import PARAM_FIELDS
from kurswerk.dashboard.widgets.trade_costs import cost_fields, cost_words
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import MODEL_TYPE_WORDS
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.features import cross_feature_names
from kurswerk.market import MarketSchema
from kurswerk.market.calendar import MAX_HORIZON_SESSIONS, exchanges
from kurswerk.models import FAMILIES, FormField
from kurswerk.training import Costs

_PHASES: Final = {
    1: N_("1 – Baby Zone"),
    2: N_("2 – Survival Zone"),
    3: N_("3 – Mature Zone"),
    99: N_("99 – Finished"),
    100: N_("100 – Graduated"),
}

_INDICATORS: Final = ("sma_20", "ema_20", "rsi_14", "macd_12_26_9", "macd_signal_12_26_9")


def _label(text: str, meaning: str) -> Any:
    return dmc.Tooltip(
        html.Span(text, className="kw-hint"),
        label=meaning,
        multiline=True,
        w=300,
        events={"hover": True, "focus": True, "touch": True},
    )


def naming(user: UserContext, given: Mapping[str, Any]) -> Any:
    """Return name, model type and description."""
    types = [{"value": name, "label": user.t(text)} for name, text in MODEL_TYPE_WORDS.items()]
    return dmc.SimpleGrid(
        [
            dmc.TextInput(
                id="spec-name",
                value=given.get("name"),
                debounce=250,
                label=_label(user.t("Name"), user.t("1 to 255 characters, not yet taken.")),
            ),
            dmc.Select(
                id="spec-model_type",
                value=given.get("model_type"),
                data=types,
                allowDeselect=False,
                label=_label(
                    user.t("Kind of model"),
                    " ".join(f"{user.t(one.title)}: {user.t(one.description)}" for one in FAMILIES.values()),
                ),
            ),
        ],
        cols={"base": 1, "xs": 2},
    )


def target(user: UserContext, given: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return the fields of target and horizon."""
    timed = bool(given.get("use_time_based_prediction"))
    kind = "return" if given.get("target") == "return" else "change" if timed else "level"
    return dmc.Stack(
        [
            dmc.SegmentedControl(
                id="spec-kind",
                value=kind,
                data=[
                    {"value": "change", "label": user.t("Change")},
                    {"value": "return", "label": user.t("Return")},
                    {"value": "level", "label": user.t("Value")},
                ],
                **{"aria-label": user.t("Kind of target")},
            ),
            dmc.Select(
                id="spec-target_var",
                value=given.get("target_var"),
                data=[name for name in columns if name != "is_koth"],
                searchable=True,
                allowDeselect=False,
                label=_label(
                    user.t("Target column"), user.t("With a change, the target column itself is not a feature.")
                ),
            ),
            html.Div(_change(user, given), id="spec-if-change"),
            html.Div(_return(user, given), id="spec-if-return"),
            html.Div(_horizon(user, given), id="spec-if-horizon"),
            html.Div(_level(user, given), id="spec-if-level"),
        ]
    )


def _change(user: UserContext, given: Mapping[str, Any]) -> Any:
    ways = [{"value": "up", "label": user.t("rises")}, {"value": "down", "label": user.t("falls")}]
    modes = [
        {"value": "at", "label": user.t("at the end of the horizon")},
        {"value": "within", "label": user.t("at any moment within the horizon")},
    ]
    return dmc.SimpleGrid(
        [
            dmc.Select(
                id="spec-direction",
                value=given.get("direction") or "up",
                data=ways,
                label=user.t("Direction"),
                allowDeselect=False,
            ),
            _number(
                user,
                "min_percent_change",
                given,
                user.t("Minimum change, %"),
                user.t("Change from the row's own value."),
            ),
            dmc.Select(
                id="spec-horizon_mode",
                value=given.get("horizon_mode") or "at",
                data=modes,
                label=user.t("Measured"),
                allowDeselect=False,
            ),
        ],
        cols={"base": 1, "xs": 2, "xl": 3},
    )


def _return(user: UserContext, given: Mapping[str, Any]) -> Any:
    return _number(
        user,
        "coverage",
        given,
        user.t("Coverage of the interval"),
        user.t("Share of later returns that the interval is to hold, from 0.5 to 0.99; empty: 0.9."),
        min=0.5,
        max=0.99,
        step=0.05,
    )


def _horizon(user: UserContext, given: Mapping[str, Any]) -> Any:
    return dmc.SimpleGrid(
        [
            _number(
                user, "future_minutes", given, user.t("Horizon in minutes"), user.t("How far the model looks ahead.")
            ),
            _number(
                user,
                "horizon_sessions",
                given,
                user.t("or in trading sessions"),
                user.t(
                    "Instead of minutes: up to the close of so many sessions after the row's own. Weekends, holidays "
                    "and half days count as the exchange has them."
                ),
                min=1,
                max=MAX_HORIZON_SESSIONS,
                allowDecimal=False,
            ),
            dmc.Select(
                id="spec-calendar",
                value=given.get("calendar"),
                data=list(exchanges()),
                searchable=True,
                clearable=True,
                label=_label(
                    user.t("Exchange of the sessions"),
                    user.t("For instruments that state no exchange of their own; empty: a market that never closes."),
                ),
            ),
        ],
        cols={"base": 1, "xs": 2, "xl": 3},
    )


def _level(user: UserContext, given: Mapping[str, Any]) -> Any:
    return dmc.SimpleGrid(
        [
            dmc.Select(
                id="spec-operator",
                value=given.get("operator") or ">",
                data=[">", ">=", "<", "<=", "="],
                label=user.t("Operator"),
                allowDeselect=False,
            ),
            _number(user, "target_value", given, user.t("Target value"), user.t("In the unit of the target column.")),
        ],
        cols=2,
    )


def _number(user: UserContext, name: str, given: Mapping[str, Any], text: str, meaning: str, **more: Any) -> Any:
    value = given.get(name)
    return number_input(
        user,
        id=f"spec-{name}",
        value="" if value is None else value,
        label=_label(text, meaning),
        debounce=250,
        **more,
    )


def features(user: UserContext, given: Mapping[str, Any], market: MarketSchema, columns: Sequence[str]) -> Any:
    """Return the fields of features."""
    chosen = list(given.get("features") or [])
    return dmc.Stack(
        [
            dmc.MultiSelect(
                id="spec-features",
                value=[name for name in chosen if name in columns],
                data=list(columns),
                searchable=True,
                clearable=True,
                hidePickedOptions=True,
                label=_label(user.t("Columns"), user.t("Columns of the market data that the model sees as they are.")),
            ),
            dmc.TagsInput(
                id="spec-indicators",
                value=[name for name in chosen if name not in columns],
                data=[*_INDICATORS, *cross_feature_names(market)],
                clearable=True,
                label=_label(
                    user.t("Indicators"),
                    user.t(
                        "Names with their numbers, such as rsi_14 or sma_20, and comparisons with the other "
                        "instruments of the moment, such as market_rank_price_change_5. Type one and press Enter."
                    ),
                ),
            ),
            dmc.Switch(
                id="spec-use_engineered_features",
                checked=bool(given.get("use_engineered_features")),
                label=_label(
                    user.t("Engineered features"),
                    user.t(
                        "Changes, volatility, buyers and sellers, whales, distance from the high, over several windows."
                    ),
                ),
            ),
            dmc.TagsInput(
                id="spec-feature_engineering_windows",
                value=[str(one) for one in given.get("feature_engineering_windows") or []],
                label=_label(
                    user.t("Windows of the engineered features"), user.t("Lengths in rows, such as 5, 10, 15.")
                ),
            ),
        ]
    )


def rows(user: UserContext, given: Mapping[str, Any], market: MarketSchema, names: Sequence[str]) -> Any:
    """Return which rows take part; ``names`` are the market's instruments."""
    return dmc.SimpleGrid(
        [
            dmc.MultiSelect(
                id="spec-phases",
                display=None if market.segment else "none",
                value=[str(one) for one in given.get("phases") or []],
                data=[{"value": str(number), "label": user.t(text)} for number, text in _PHASES.items()],
                clearable=True,
                placeholder=user.t("all"),
                label=_label(user.t("Phases"), user.t("Only rows of these phases of a coin's life.")),
            ),
            dmc.MultiSelect(
                id="spec-mints",
                value=list(given.get("mints") or given.get("instruments") or []),
                data=list(names)[:2000],
                limit=50,
                searchable=True,
                clearable=True,
                placeholder=user.t("all"),
                label=_label(instruments_word(user, market), user.t("Only these; type to search.")),
            ),
        ],
        cols={"base": 1, "xs": 2},
    )


def costs(user: UserContext, given: Mapping[str, Any]) -> Any:
    """Return the costs of the trades that the model's evaluation simulates."""
    usual = user.t("Default: {costs}", costs=cost_words(user, Costs().model_dump()))
    return cost_fields(user, "spec", given.get("costs"), usual)


def advanced(user: UserContext, given: Mapping[str, Any]) -> Any:
    """Return what seldom needs a change."""
    balance = dmc.Switch(
        id="spec-use_smote",
        checked=bool(given.get("use_smote", True)),
        label=_label(
            user.t("Balance rare positives"),
            user.t("In each training fold, positives under 30 % are multiplied (SMOTE) and the others thinned out."),
        ),
    )
    described = dmc.Textarea(
        id="spec-description",
        value=given.get("description") or "",
        label=user.t("Description"),
        autosize=True,
        debounce=250,
    )
    content = dmc.Stack([balance, _hyper_parameters(user, given), described])
    return dmc.Accordion(
        dmc.AccordionItem(
            [dmc.AccordionControl(user.t("Advanced settings")), dmc.AccordionPanel(content)], value="fine"
        ),
        variant="contained",
    )


def _hyper_parameters(user: UserContext, given: Mapping[str, Any]) -> Any:
    folds = (user.t("Folds"), user.t("How many times it is trained on earlier and evaluated on later rows."))
    params = dict(given.get("params") or {})
    fields = [
        html.Div(_hyper_parameter(user, field, params), id=f"spec-if-{field.name}") for field in PARAM_FIELDS.values()
    ]
    return dmc.SimpleGrid(
        [_number(user, "cv_splits", given, *folds, min=2, max=50), *fields], cols={"base": 1, "xs": 2, "xl": 4}
    )


def _hyper_parameter(user: UserContext, field: FormField, params: Mapping[str, Any]) -> Any:
    words = (user.t(field.title), user.t(field.description))
    if field.kind == "flag":
        value = bool(params.get(field.name, field.default))
        return dmc.Switch(id=f"spec-{field.name}", checked=value, label=_label(*words))
    if field.kind == "choice":
        value = params.get(field.name, field.default)
        return dmc.Select(id=f"spec-{field.name}", value=value, data=list(field.choices), label=_label(*words))
    # Families that share a field may have other bounds and defaults: the form keeps to none of them, the check does.
    return _number(user, field.name, params, *words)
