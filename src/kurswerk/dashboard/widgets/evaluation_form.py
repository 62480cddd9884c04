"""What testing and comparing share: models, a period and coins to choose, and remarks on the choice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from kurswerk.core.errors import KurswerkError
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.charts import localise_chart
from kurswerk.dashboard.widgets.components import callout, card, empty_state, link_button
from kurswerk.dashboard.widgets.market_choice import instruments, instruments_word
from kurswerk.dashboard.widgets.period_picker import (
    availability_chart,
    available_period,
    parse_period,
    period_fields,
    period_from_fields,
)
from kurswerk.dashboard.widgets.trade_costs import COST_FIELDS, cost_fields, costs_from_fields
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.evaluation import overlap
from kurswerk.market import MarketSchema, market_named
from kurswerk.registry import ModelRecord, market_of

_LATER_SHARE: Final = 2 / 3
# More names would cover the picture.
_MAX_MARKS: Final = 3
_MAX_OPTIONS: Final = 2000


def evaluation_form(
    app: DashboardApp,
    user: UserContext,
    prefix: str,
    title: str,
    models: Any,
    chosen: Sequence[ModelRecord],
    button: str,
    costs: str | None = None,
) -> Any:
    """Return a form with fields for models, the period ``<prefix>-start`` to ``-end`` and coins ``<prefix>-mints``.

    Beside it stand ``<prefix>-remarks`` and the button ``<prefix>-order``. The picture marks when
    ``chosen`` were trained. Costs of trades are fields, too; see `cost_values`.
    """
    market = _market_of(chosen)
    return dmc.Grid(
        [
            card(
                title,
                models,
                period_fields(
                    app, user, market, prefix, _later_period(app, market, chosen), _training_marks(user, chosen)
                ),
                dcc.Store(id=f"{prefix}-marked", data=[one.id for one in chosen[:_MAX_MARKS]]),
                _instrument_field(app, user, market, f"{prefix}-mints"),
                cost_fields(user, prefix, costs, user.t("Those of the model")),
                span={"base": 12, "lg": 8},
            ),
            card(
                user.t("Check and start"),
                html.Div(id=f"{prefix}-remarks", role="status"),
                dmc.Button(button, id=f"{prefix}-order", disabled=True, fullWidth=True),
                span={"base": 12, "lg": 4},
            ),
        ]
    )


def cost_values(kind: type[Input] | type[State], prefix: str) -> list[Any]:
    """Return the form's fields of costs as a callback's inputs or states; see `costs_of_form`."""
    return [kind(f"{prefix}-{name}", prop) for name, prop in COST_FIELDS.items()]


def costs_of_form(values: Sequence[Any]) -> str | dict[str, Any] | None:
    """Return the costs that the fields of `cost_values` state."""
    return costs_from_fields(dict(zip(COST_FIELDS, values, strict=True)))


def register_training_marks(app: DashboardApp, prefix: str, *models: Input) -> None:
    """Mark on the picture when the chosen models learnt, each time others are chosen."""

    @app.callback(
        Output(f"{prefix}-picture", "figure"),
        Output(f"{prefix}-marked", "data"),
        Output(f"{prefix}-mints", "data"),
        State(f"{prefix}-marked", "data"),
        *models,
        initial_call=True,  # or that none is chosen any more would be taken for that none has been yet
    )
    def mark(user: UserContext, marked: list[int], *chosen: str | list[str] | None) -> Any:
        given = [one for some in chosen for one in ([some] if isinstance(some, str) else some or [])]
        ids = [int(one) for one in dict.fromkeys(given)][:_MAX_MARKS]
        if ids == marked:
            raise PreventUpdate
        records = [app.services.models.get(one) for one in ids]
        market = _market_of(records)
        drawing = availability_chart(app, user, market, _training_marks(user, records))
        localise_chart(user, drawing)
        return drawing, ids, _instrument_options(app, market)


def period_notes(
    app: DashboardApp,
    user: UserContext,
    models: Sequence[str],
    ends: tuple[str | None, str | None],
    costs: str | dict[str, Any] | None,
    fine: str,
) -> tuple[Any, bool]:
    """Return remarks on models, a period and costs, and whether they prevent the evaluation."""
    try:
        period = period_from_fields(user, *ends)
        moments = parse_period(user, *ends)
        request = {"model_id": int(models[0]), **period.as_request(), "costs": costs}
        app.services.job_service.kinds.named("TEST").parse(request)
    except KurswerkError as error:
        return callout(user.message(error), color="orange"), True
    records = [app.services.models.get(int(one)) for one in models]
    return dmc.Stack(_overlap_warnings(user, records, moments) or [callout(fine, color="teal")]), False


def no_ready_model(user: UserContext) -> Any:
    """Return what stands where a trained model is needed and there is none."""
    return empty_state(
        user.t("No model is ready"),
        user.t("First train one; then it can be tested on later data and compared with others."),
        link_button(user.t("New model"), "/dashboard/new", variant="filled"),
    )


def model_options(records: Sequence[ModelRecord]) -> list[dict[str, str]]:
    """Return models to choose from."""
    return [{"value": str(record.id), "label": f"{record.name} (#{record.id})"} for record in records]


def _market_of(records: Sequence[ModelRecord]) -> MarketSchema:
    """Return the market of models, coins where there are none; models of several cannot be evaluated together."""
    return market_of(records[0]) if records else market_named()


def _instrument_options(app: DashboardApp, market: MarketSchema) -> list[str]:
    return list(instruments(app, market))[:_MAX_OPTIONS]


def _instrument_field(app: DashboardApp, user: UserContext, market: MarketSchema, name: str) -> Any:
    """Return a field for instruments; empty is all."""
    return dmc.MultiSelect(
        id=name,
        label=instruments_word(user, market),
        placeholder=user.t("all"),
        data=_instrument_options(app, market),
        limit=50,
        searchable=True,
        clearable=True,
    )


def _later_period(
    app: DashboardApp, market: MarketSchema, records: Sequence[ModelRecord]
) -> tuple[datetime, datetime] | None:
    """Return the time after the models' training, or the last third where nothing is after it."""
    whole = available_period(app, market)
    if whole is None:
        return None
    trained = max((record.train_end for record in records), default=None)
    if trained is not None and trained < whole[1]:
        return trained, whole[1]
    return available_period(app, market, _LATER_SHARE)


def _training_marks(user: UserContext, records: Sequence[ModelRecord]) -> list[tuple[datetime, datetime, str]]:
    """Return the models' training periods to mark on the picture."""
    return [
        (one.train_start, one.train_end, user.t("training of {name}", name=one.name)) for one in records[:_MAX_MARKS]
    ]


def _overlap_warnings(
    user: UserContext, records: Sequence[ModelRecord], moments: tuple[datetime, datetime]
) -> list[Any]:
    """Warn of each model whose training shares time with the period."""
    start_us, end_us = map(to_us, moments)
    found = []
    for record in records:
        shared = overlap(to_us(record.train_start), to_us(record.train_end), start_us, end_us)
        if shared.has_overlap:
            text = user.t(
                "{share} of the period overlaps the training of {name}: it knows these rows and looks too good.",
                share=user.percent(shared.share, 0),
                name=record.name,
            )
            found.append(callout(text, title=user.t("Overlap with the training"), color="orange"))
    return found
