"""The fields of the form for a model's specification."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from kurswerk.dashboard._components import number_field
from kurswerk.dashboard._listings import MODEL_TYPE_WORDS
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.models import model_params

_PHASES: Final = {
    1: N_("1 – Baby Zone"),
    2: N_("2 – Survival Zone"),
    3: N_("3 – Mature Zone"),
    99: N_("99 – Finished"),
    100: N_("100 – Graduated"),
}


def _label(text: str, meaning: str) -> Any:
    return dmc.Tooltip(
        html.Span(text, className="kw-hint"),
        label=meaning,
        multiline=True,
        w=300,
        events={"hover": True, "focus": True, "touch": True},
    )


def naming(view: View, given: Mapping[str, Any]) -> Any:
    """Return name, model type and description."""
    types = [{"value": name, "label": view.t(text)} for name, text in MODEL_TYPE_WORDS.items()]
    return dmc.SimpleGrid(
        [
            dmc.TextInput(
                id="spec-name",
                value=given.get("name"),
                debounce=250,
                label=_label(view.t("Name"), view.t("1 to 255 characters, not yet taken.")),
            ),
            dmc.Select(
                id="spec-model_type",
                value=given.get("model_type"),
                data=types,
                allowDeselect=False,
                label=_label(
                    view.t("Kind of model"),
                    view.t(
                        "Gradient boosting is quick and mostly stronger; a random forest is sturdier with few rows."
                    ),
                ),
            ),
        ],
        cols={"base": 1, "xs": 2},
    )


def target(view: View, given: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return what is to be foreseen."""
    timed = bool(given.get("use_time_based_prediction"))
    return dmc.Stack(
        [
            dmc.SegmentedControl(
                id="spec-kind",
                value="change" if timed else "level",
                data=[
                    {"value": "change", "label": view.t("A change within a time")},
                    {"value": "level", "label": view.t("A level")},
                ],
                **{"aria-label": view.t("Kind of target")},
            ),
            dmc.Select(
                id="spec-target_var",
                value=given.get("target_var"),
                data=[name for name in columns if name != "is_koth"],
                searchable=True,
                allowDeselect=False,
                label=_label(
                    view.t("Watched column"), view.t("With a change, the watched column itself is no feature.")
                ),
            ),
            html.Div(_change(view, given), id="spec-if-change"),
            html.Div(_level(view, given), id="spec-if-level"),
        ]
    )


def _change(view: View, given: Mapping[str, Any]) -> Any:
    ways = [{"value": "up", "label": view.t("rises")}, {"value": "down", "label": view.t("falls")}]
    modes = [
        {"value": "at", "label": view.t("at the end of the time")},
        {"value": "within", "label": view.t("at any moment in it")},
    ]
    return dmc.SimpleGrid(
        [
            dmc.Select(
                id="spec-direction",
                value=given.get("direction") or "up",
                data=ways,
                label=view.t("It"),
                allowDeselect=False,
            ),
            _number(
                view, "min_percent_change", given, view.t("by at least, %"), view.t("Change from the row's own value.")
            ),
            _number(view, "future_minutes", given, view.t("in minutes"), view.t("How far the model looks ahead.")),
            dmc.Select(
                id="spec-horizon_mode",
                value=given.get("horizon_mode") or "at",
                data=modes,
                label=view.t("measured"),
                allowDeselect=False,
            ),
        ],
        cols={"base": 1, "xs": 2, "xl": 4},
    )


def _level(view: View, given: Mapping[str, Any]) -> Any:
    return dmc.SimpleGrid(
        [
            dmc.Select(
                id="spec-operator",
                value=given.get("operator") or ">",
                data=[">", ">=", "<", "<=", "="],
                label=view.t("It is"),
                allowDeselect=False,
            ),
            _number(view, "target_value", given, view.t("this value"), view.t("In the unit of the watched column.")),
        ],
        cols=2,
    )


def _number(view: View, name: str, given: Mapping[str, Any], text: str, meaning: str, **more: Any) -> Any:
    value = given.get(name)
    return number_field(
        view,
        id=f"spec-{name}",
        value="" if value is None else value,
        label=_label(text, meaning),
        debounce=250,
        **more,
    )


def features(view: View, given: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return what the model sees."""
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
                label=_label(view.t("Columns"), view.t("Columns of the market data that the model sees as they are.")),
            ),
            dmc.TagsInput(
                id="spec-indicators",
                value=[name for name in chosen if name not in columns],
                data=["sma_20", "ema_20", "rsi_14", "macd_12_26_9", "macd_signal_12_26_9"],
                clearable=True,
                label=_label(
                    view.t("Indicators"),
                    view.t("Names with their numbers, such as rsi_14 or sma_20. Type one and press Enter."),
                ),
            ),
            dmc.Switch(
                id="spec-use_engineered_features",
                checked=bool(given.get("use_engineered_features")),
                label=_label(
                    view.t("Engineered features too"),
                    view.t(
                        "Changes, volatility, buyers and sellers, whales, distance from the high, over several windows."
                    ),
                ),
            ),
            dmc.TagsInput(
                id="spec-feature_engineering_windows",
                value=[str(one) for one in given.get("feature_engineering_windows") or []],
                label=_label(
                    view.t("Windows of the engineered features"), view.t("Lengths in rows, such as 5, 10, 15.")
                ),
            ),
        ]
    )


def rows(view: View, given: Mapping[str, Any], coins: Sequence[str]) -> Any:
    """Return which rows take part."""
    return dmc.SimpleGrid(
        [
            dmc.MultiSelect(
                id="spec-phases",
                value=[str(one) for one in given.get("phases") or []],
                data=[{"value": str(number), "label": view.t(text)} for number, text in _PHASES.items()],
                clearable=True,
                placeholder=view.t("all"),
                label=_label(view.t("Phases"), view.t("Only rows of these phases of a coin's life.")),
            ),
            dmc.MultiSelect(
                id="spec-mints",
                value=list(given.get("mints") or []),
                data=list(coins)[:2000],
                limit=50,
                searchable=True,
                clearable=True,
                placeholder=view.t("all"),
                label=_label(view.t("Coins"), view.t("Only these coins; type to search.")),
            ),
        ],
        cols={"base": 1, "xs": 2},
    )


def advanced(view: View, given: Mapping[str, Any]) -> Any:
    """Return what seldom needs a change."""
    balance = dmc.Switch(
        id="spec-use_smote",
        checked=bool(given.get("use_smote", True)),
        label=_label(
            view.t("Balance rare positives"),
            view.t("In each training fold, positives under 30 % are multiplied (SMOTE) and the others thinned out."),
        ),
    )
    described = dmc.Textarea(
        id="spec-description",
        value=given.get("description") or "",
        label=view.t("Description"),
        autosize=True,
        debounce=250,
    )
    content = dmc.Stack([balance, _hyper_parameters(view, given), described])
    return dmc.Accordion(
        dmc.AccordionItem([dmc.AccordionControl(view.t("Fine settings")), dmc.AccordionPanel(content)], value="fine"),
        variant="contained",
    )


def _hyper_parameters(view: View, given: Mapping[str, Any]) -> Any:
    params = dict(given.get("params") or {})
    defaults = model_params("xgboost")
    many = view.t("More trees are steadier and slower; empty is {n}.", n=defaults["n_estimators"])
    trees = (view.t("Trees"), many)
    depth = (view.t("Depth of a tree"), view.t("Deeper trees learn finer patterns and overfit sooner."))
    folds = (view.t("Folds"), view.t("How many times it is trained on earlier and judged on later rows."))
    least = (view.t("Least rows to split"), view.t("Larger values make coarser trees."))
    rate = (view.t("Learning rate"), view.t("Smaller is more careful and needs more trees."))
    patience = (
        view.t("Patience"),
        view.t(
            "Ends when so many more trees do not foresee the last tenth of the rows better; 0 never, empty is {n}.",
            n=defaults["early_stopping_rounds"],
        ),
    )
    return dmc.SimpleGrid(
        [
            _number(view, "cv_splits", given, *folds, min=2, max=50),
            _number(view, "n_estimators", params, *trees, min=1),
            _number(view, "max_depth", params, *depth, min=1),
            html.Div(_number(view, "min_samples_split", params, *least, min=2), id="spec-if-forest"),
            html.Div(
                dmc.Stack(
                    [
                        _number(view, "learning_rate", params, *rate, min=0),
                        _number(view, "early_stopping_rounds", params, *patience, min=0),
                    ]
                ),
                id="spec-if-boosting",
            ),
        ],
        cols={"base": 1, "xs": 2, "xl": 4},
    )
