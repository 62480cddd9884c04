"""One instrument: its candles and volume, what models predicted for it, and the features of any row."""

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, Patch, State, ctx, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.model_lookup import model_labels, model_names, ready_models
from kurswerk.dashboard.callbacks.pages import PageDefinition, instrument_path
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.widgets import instrument_chart as drawn
from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import callout, card, link_button, page_header, stat, stat_row
from kurswerk.dashboard.widgets.evaluation import key_value_table
from kurswerk.dashboard.widgets.fundamentals import fundamentals_table, known_now
from kurswerk.dashboard.widgets.instrument_facts import (
    actions_table,
    directory_of,
    identity,
    instrument_actions,
    instrument_facts,
    series_table,
)
from kurswerk.dashboard.widgets.market_choice import (
    all_instruments,
    instruments,
    interval_word,
    market_of_address,
    markets_of_bars,
)
from kurswerk.dashboard.widgets.watchlist_choice import watchlists
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import forecast_text
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import DEFAULT_MARKET, MarketSchema, market_named
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.watchlists import WatchedInstrument
from kurswerk.registry import ModelRecord, plan_of
from kurswerk.serving import Prediction as Predicted
from kurswerk.serving import Replay, predict_instrument

_MAX_PREDICTIONS: Final = 2000
# While somebody moves about in a chart its rows are not loaded anew.
_CHART_ROWS_S: Final = 300.0
_PREDICTIONS_S: Final = 5.0
_FEATURES_S: Final = 60.0


def layout(app: DashboardApp, user: UserContext, query: dict[str, str], market: str, key: str) -> Any:
    """Return one instrument's page; ``models`` of the address are the models whose predictions are marked."""
    schema = market_named(market)
    panel = drawn.instrument_panel(app, schema, key)
    times = drawn.ChartTimes.of(user, schema)
    predictions = _predictions(app, market, key)
    names = model_names(app)
    models = sorted({one.model_id for one in predictions})
    wanted = [one for one in query.get("models", "").split(",") if one in {str(model) for model in models}]
    shown = wanted or [str(model) for model in models[:2]]
    first, last = drawn.span_us(panel)
    facts, (actions, currency) = instrument_facts(app, schema, key), _known_of(app, schema, key)
    marks = drawn.ChartMarks(drawn.prediction_markers(predictions, shown, names), actions, currency)
    price = user.price(drawn.last_value(panel, "close"))
    back = link_button(all_instruments(user, schema), f"/dashboard/data?market={market}", variant="default")
    return html.Div(
        [
            dcc.Store(id="instrument-name", data={"market": market, "key": key}),
            page_header(key, back, text="" if facts is None else identity(facts)),
            *_other_bars(app, user, schema, key),
            *_watchlists(app, user, market, key),
            html.Div(
                stat_row(
                    stat(user.t("Rows"), user.number(len(panel))),
                    stat(user.t("Oldest row"), times.shown(first)),
                    stat(user.t("Newest row"), times.shown(last)),
                    stat(user.t("Last price"), f"{price} {currency}" if currency else price),
                ),
                style={"marginBottom": 16},
            ),
            dmc.Grid(
                [
                    card(
                        user.t("Price, volume and phases") if schema.segment else user.t("Price and volume"),
                        _model_choice(user, models, shown, names),
                        chart(
                            user,
                            "instrument-chart",
                            drawn.instrument_chart(times, panel, marks),
                            label=user.t("Candles with volume; dots mark predictions"),
                            config={"scrollZoom": True},
                        ),
                        text=user.t("Drag to look closer, double-click to see all. Click a point to see its features."),
                        span={"base": 12, "lg": 8},
                    ),
                    card(
                        user.t("Features of a row"),
                        _model_field(app, user, schema, shown),
                        dmc.Group(
                            [dmc.Button(user.t("Newest row"), id="instrument-newest", variant="default", size="xs")]
                        ),
                        html.Div(
                            callout(user.t("Click a point of the chart.")), id="instrument-features", role="status"
                        ),
                        span={"base": 12, "lg": 4},
                    ),
                    *_instrument_cards(app, user, schema, key, currency),
                ]
            ),
        ]
    )


def _known_of(app: DashboardApp, market: MarketSchema, key: str) -> tuple[Sequence[CorporateAction], str | None]:
    """Return the corporate actions of an instrument and its currency."""
    facts = instrument_facts(app, market, key)
    return instrument_actions(app, market, key), None if facts is None else facts.currency


def _instrument_cards(
    app: DashboardApp, user: UserContext, market: MarketSchema, key: str, currency: str | None
) -> list[Any]:
    """Return what is known of the instrument beside its rows, where the market keeps it."""
    if directory_of(app, market) is None:
        return []
    return [
        card(
            user.t("Bars and their sources"),
            series_table(app, user, market, key),
            text=user.t(
                "Models, charts and predictions read the source in use. The chart shows prices and volumes of a share "
                "as it is today; models see prices multiplied by the splits up to each bar, so that a later one "
                "changes none."
            ),
            span={"base": 12, "lg": 8},
        ),
        card(
            user.t("Corporate actions"),
            actions_table(user, instrument_actions(app, market, key), currency),
            span={"base": 12, "lg": 4},
        ),
        card(
            user.t("Fundamentals"),
            fundamentals_table(user, known_now(app, market, key), currency),
            text=user.t("As they are known now; models see each as it was known at their row."),
            span={"base": 12, "lg": 8},
        ),
    ]


def _other_bars(app: DashboardApp, user: UserContext, chosen: MarketSchema, key: str) -> list[Any]:
    """Return links to the instrument's bars of other lengths, if it has some."""
    there = [one for one in markets_of_bars(app, chosen) if one is chosen or key in instruments(app, one)]
    if len(there) < 2:
        return []
    links = [
        link_button(
            interval_word(user, one),
            instrument_path(one.name, key),
            variant="filled" if one is chosen else "default",
            size="xs",
        )
        for one in there
    ]
    return [dmc.Group([dmc.Text(user.t("Bar length"), size="sm", c="dimmed"), *links], gap="xs", mb="sm")]


def _watchlists(app: DashboardApp, user: UserContext, market: str, key: str) -> list[Any]:
    """Return a field of the watchlists that the instrument is on, if there are any lists."""
    found = watchlists(app)
    field = dmc.MultiSelect(
        id="instrument-watchlists",
        data=[{"value": str(one.id), "label": one.name} for one in found],
        value=[str(one.id) for one in found if (market, key) in one.instruments],
        placeholder=user.t("Put it on a watchlist"),
        size="xs",
        maw=420,
        mb="sm",
        **{"aria-label": user.t("Watchlists")},
    )
    return [field] if found else []


def former_layout(app: DashboardApp, user: UserContext, query: dict[str, str], key: str) -> Any:
    """Return the page at the address without a market, which ``market`` of the query may name; else it is a coin."""
    return layout(app, user, query, market_of_address(query).name, key)


def _predictions(app: DashboardApp, market: str, key: str) -> Sequence[Prediction]:
    """Return the newest predictions of an instrument by models of its market: other markets may have that name too."""
    live = app.services.live
    if live is None:
        return []
    markets = model_labels(app).markets

    def read() -> Sequence[Prediction]:
        found = live.predictions(coin_id=key, limit=_MAX_PREDICTIONS)
        return [one for one in found if markets.get(one.model_id, DEFAULT_MARKET) == market]

    return app.cache.get(("predictions of", market, key), read, max_age_s=_PREDICTIONS_S)


def _model_choice(user: UserContext, models: list[int], shown: list[str], names: Any) -> Any:
    if not models:
        return html.Div(dmc.CheckboxGroup([], id="instrument-models", value=[]), style={"display": "none"})
    boxes = dmc.Group([dmc.Checkbox(label=names.get(model, f"#{model}"), value=str(model)) for model in models])
    return dmc.CheckboxGroup(boxes, id="instrument-models", value=shown, label=user.t("Predictions shown"))


def _model_field(app: DashboardApp, user: UserContext, market: MarketSchema, shown: Sequence[str]) -> Any:
    mine = [one for one in ready_models(app) if (one.spec.get("market") or DEFAULT_MARKET) == market.name]
    choices = [{"value": str(one.id), "label": one.name} for one in mine]
    # One whose predictions are looked at, if there is any.
    order = sorted((one["value"] for one in choices), key=lambda value: value not in shown)
    return dmc.Select(
        id="instrument-model",
        label=user.t("Features of the model"),
        data=choices,
        value=order[0] if order else None,
        allowDeselect=False,
        placeholder=user.t("no model of this market is ready"),
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    app.clientside_callback("(models) => kurswerk.query({models})", Input("instrument-models", "value"))

    @app.callback(
        Output("instrument-chart", "figure"),
        Input("instrument-chart", "relayoutData"),
        Input("instrument-models", "value"),
        State("instrument-name", "data"),
    )
    def redraw(user: UserContext, moved: dict[str, Any] | None, models: list[str] | None, name: dict[str, str]) -> Any:
        market, key = market_named(name["market"]), name["key"]
        panel = drawn.instrument_panel(app, market, key, max_age_s=_CHART_ROWS_S)
        times = drawn.ChartTimes.of(user, market)
        window = drawn.visible_range(times, moved or {})
        predictions = drawn.prediction_markers(_predictions(app, market.name, key), models or [], model_names(app))
        marks = drawn.ChartMarks(predictions, *_known_of(app, market, key))
        drawing = Patch()
        drawing["data"] = drawn.instrument_traces(times, panel, marks, window)
        for part, value in drawn.phase_lines(times, panel, window).items():
            drawing["layout"][part] = value
        return drawing

    @app.callback(Input("instrument-watchlists", "value"), State("instrument-name", "data"))
    def put_on_lists(user: UserContext, chosen: list[str], name: dict[str, str]) -> None:
        store, this = app.services.watchlists, WatchedInstrument(name["market"], name["key"])
        changed = [one for one in watchlists(app) if (str(one.id) in chosen) != (this in one.instruments)]
        if store is None or not changed:
            return
        require_scope(user, "train")
        for one in changed:
            (store.remove if this in one.instruments else store.add)(one.id, [this])
        notify(user.t("Saved"))

    @app.callback(
        Output("instrument-features", "children"),
        Input("instrument-chart", "clickData"),
        Input("instrument-model", "value"),
        Input("instrument-newest", "n_clicks"),
        State("instrument-name", "data"),
    )
    def show_features(
        user: UserContext, clicked: dict[str, Any] | None, model: str | None, newest: int | None, name: dict[str, str]
    ) -> Any:
        points = (clicked or {}).get("points") or []
        latest = ctx.triggered_id == "instrument-newest" or (newest and not points)
        if not points and not latest:
            return callout(user.t("Click a point of the chart."))
        if not model:
            raise InvalidInputError("dashboard.no_model_to_show")
        times = drawn.ChartTimes.of(user, market_named(name["market"]))
        moment_us = None if latest else times.end_of(str(points[0]["x"]))
        return _features(app, times, int(model), name["key"], moment_us)

    @app.callback(
        Output("instrument-replayed", "children"),
        Input("instrument-replay", "n_clicks"),
        State("instrument-stored", "data"),
    )
    def replay(user: UserContext, clicks: int | None, stored: str) -> Any:
        live = app.services.live
        return _replay_result(user, live.replay(int(stored))) if clicks and live is not None else None


def _features(app: DashboardApp, times: drawn.ChartTimes, model_id: int, key: str, moment_us: int | None) -> Any:
    """Return features and prediction of the last row not after a moment, or of the newest for None."""
    user, record = times.user, app.services.models.get(model_id)
    moments, values, names = app.cache.get(
        ("features", model_id, key),
        lambda: _all_features(app, model_id, key),
        max_age_s=0.0 if moment_us is None else _FEATURES_S,
    )
    k = len(moments) - 1 if moment_us is None else drawn.last_index_at(moments, moment_us)
    importance = record.feature_importance
    order = sorted(range(len(names)), key=lambda i: -importance.get(names[i], 0.0))[:25]
    rows = [(names[i], user.number(float(values[k, i]), 4)) for i in order]
    (predicted,) = predict_instrument(
        key, [record], app.services.markets, app.services.models, at_us=int(moments[k])
    ).predictions
    return dmc.Stack(
        [
            dmc.Text(user.t("Row of {time}", time=times.shown(int(moments[k]))), fw=600, size="sm"),
            dmc.Text(
                user.t(
                    "{name}: probability {share}, prediction: {answer}.",
                    name=record.name,
                    share=user.percent(predicted.probability),
                    answer=user.t("yes") if predicted.prediction else user.t("no"),
                )
            ),
            *_forecast(user, predicted),
            *_stored_prediction(app, user, record, key, int(moments[k])),
            dmc.Text(
                user.tn("Its only feature.", "The most important of {n} features first.", len(names)),
                size="xs",
                c="dimmed",
            ),
            key_value_table(rows),
        ],
        gap=6,
    )


def _forecast(user: UserContext, predicted: Predicted) -> list[Any]:
    if predicted.forecast is None:
        return []
    text = forecast_text(user, [predicted.forecast, predicted.low or 0.0, predicted.high or 0.0])
    return [dmc.Text(user.t("Forecast of the return, with its interval: {values}%.", values=text))]


def _stored_prediction(app: DashboardApp, user: UserContext, model: ModelRecord, key: str, moment_us: int) -> list[Any]:
    """Return what was stored of this row by this model, if anything, with a button to compute it again."""
    found = _predictions(app, str(model.spec.get("market") or DEFAULT_MARKET), key)
    stored = next((one for one in found if one.model_id == model.id and to_us(one.timestamp) == moment_us), None)
    if stored is None:
        return []
    again = dmc.Button(user.t("Replay this prediction"), id="instrument-replay", variant="default", size="xs")
    return [
        dcc.Store(id="instrument-stored", data=str(stored.id)),
        dmc.Group([dmc.Text(user.t("Stored live: {share}.", share=user.percent(stored.probability))), again]),
        html.Div(id="instrument-replayed", role="status"),
    ]


def _replay_result(user: UserContext, found: Replay) -> Any:
    """State whether a replay agrees with what was stored, and if not, why."""
    share = user.percent(found.score)
    if found.equal:
        words = [user.t("The replay agrees in every bit: {share}.", share=share)]
    else:
        before = user.percent(found.stored_score)
        words = [user.t("The replay gives {share} instead of {stored}.", share=share, stored=before)]
    if found.late_rows:
        words.append(user.t("Rows that came after it and were left out: {n}.", n=user.number(found.late_rows)))
    if found.corrected_rows:
        words.append(user.t("Rows that were corrected after it: {n}.", n=user.number(len(found.corrected_rows))))
    return callout(" ".join(words), color="teal" if found.equal else "red")


def _all_features(app: DashboardApp, model_id: int, key: str) -> Any:
    record = app.services.models.get(model_id)
    plan = plan_of(record)
    compared = plan.second_stage is not None
    market = app.services.markets[plan.market.name]
    panel = market.load_panel(list(plan.inputs), mints=None if compared else [key])
    panel = market.mark_outsiders(panel) if compared else panel
    rows = panel.rows_of(key)
    return panel.timestamps[rows], plan.compute(panel, rows=rows), plan.names


PAGE: Final = PageDefinition(
    "/data/{market}/{key}", N_("Instrument"), layout, register_callbacks, menu=False, charts=True
)
# As addresses were before they named the market.
FORMER_PAGE: Final = PageDefinition(
    "/data/{key}", N_("Instrument"), former_layout, lambda _: None, menu=False, charts=True
)
