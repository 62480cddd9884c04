"""One coin: its candles, volume and phases, what models predicted for it, and the features of any row."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, Patch, State, ctx, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.model_lookup import model_names, ready_models
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.widgets import coin_chart as drawn
from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import callout, card, link_button, page_header, stat, stat_row
from kurswerk.dashboard.widgets.evaluation import key_value_table
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import plan_of
from kurswerk.serving import Replay, predict_instrument

_MAX_PREDICTIONS: Final = 2000
# While somebody moves about in a chart its rows are not loaded anew.
_CHART_ROWS_S: Final = 300.0
_PREDICTIONS_S: Final = 5.0
_FEATURES_S: Final = 60.0


def layout(app: DashboardApp, user: UserContext, query: dict[str, str], mint: str) -> Any:
    """Return one coin's page; ``models`` of the address are the models whose predictions are marked."""
    panel = drawn.coin_panel(app, mint)
    predictions = _predictions(app, mint)
    names = model_names(app)
    models = sorted({one.model_id for one in predictions})
    wanted = [one for one in query.get("models", "").split(",") if one in {str(model) for model in models}]
    shown = wanted or [str(model) for model in models[:2]]
    first, last = drawn.span_us(panel)
    return html.Div(
        [
            dcc.Store(id="coin-name", data=mint),
            page_header(mint, link_button(user.t("All coins"), "/dashboard/data", variant="default")),
            html.Div(
                stat_row(
                    stat(user.t("Rows"), user.number(len(panel))),
                    stat(user.t("Oldest row"), user.date_time_us(first)),
                    stat(user.t("Newest row"), user.date_time_us(last)),
                    stat(user.t("Last price"), user.price(drawn.last_value(panel, "price_close"))),
                ),
                style={"marginBottom": 16},
            ),
            dmc.Grid(
                [
                    card(
                        user.t("Price, volume and phases"),
                        _model_choice(user, models, shown, names),
                        chart(
                            user,
                            "coin-chart",
                            drawn.coin_chart(user, panel, drawn.prediction_markers(predictions, shown, names)),
                            label=user.t("Candles with volume; dots mark predictions"),
                            config={"scrollZoom": True},
                        ),
                        text=user.t("Drag to look closer, double-click to see all. Click a point to see its features."),
                        span={"base": 12, "lg": 8},
                    ),
                    card(
                        user.t("Features of a row"),
                        _model_field(app, user, shown),
                        dmc.Group([dmc.Button(user.t("Newest row"), id="coin-newest", variant="default", size="xs")]),
                        html.Div(callout(user.t("Click a point of the chart.")), id="coin-features", role="status"),
                        span={"base": 12, "lg": 4},
                    ),
                ]
            ),
        ]
    )


def _predictions(app: DashboardApp, mint: str) -> Sequence[Prediction]:
    live = app.services.live
    if live is None:
        return []
    read = partial(live.predictions, coin_id=mint, limit=_MAX_PREDICTIONS)
    return app.cache.get(("coin predictions", mint), read, max_age_s=_PREDICTIONS_S)


def _model_choice(user: UserContext, models: list[int], shown: list[str], names: Any) -> Any:
    if not models:
        return html.Div(dmc.CheckboxGroup([], id="coin-models", value=[]), style={"display": "none"})
    boxes = dmc.Group([dmc.Checkbox(label=names.get(model, f"#{model}"), value=str(model)) for model in models])
    return dmc.CheckboxGroup(boxes, id="coin-models", value=shown, label=user.t("Predictions shown"))


def _model_field(app: DashboardApp, user: UserContext, shown: Sequence[str]) -> Any:
    choices = [{"value": str(one.id), "label": one.name} for one in ready_models(app)]
    # One whose predictions are looked at, if there is any.
    order = sorted((one["value"] for one in choices), key=lambda value: value not in shown)
    return dmc.Select(
        id="coin-model",
        label=user.t("Features of the model"),
        data=choices,
        value=order[0] if order else None,
        allowDeselect=False,
        placeholder=user.t("no model is ready"),
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    app.clientside_callback("(models) => kurswerk.query({models})", Input("coin-models", "value"))

    @app.callback(
        Output("coin-chart", "figure"),
        Input("coin-chart", "relayoutData"),
        Input("coin-models", "value"),
        State("coin-name", "data"),
    )
    def redraw(user: UserContext, moved: dict[str, Any] | None, models: list[str] | None, mint: str) -> Any:
        panel = drawn.coin_panel(app, mint, max_age_s=_CHART_ROWS_S)
        window = drawn.visible_range(user, moved or {})
        marks = drawn.prediction_markers(_predictions(app, mint), models or [], model_names(app))
        drawing = Patch()
        drawing["data"] = drawn.coin_traces(user, panel, marks, window)
        for name, parts in drawn.phase_lines(user, panel, window).items():
            drawing["layout"][name] = parts
        return drawing

    @app.callback(
        Output("coin-features", "children"),
        Input("coin-chart", "clickData"),
        Input("coin-model", "value"),
        Input("coin-newest", "n_clicks"),
        State("coin-name", "data"),
    )
    def show_features(
        user: UserContext, clicked: dict[str, Any] | None, model: str | None, newest: int | None, mint: str
    ) -> Any:
        points = (clicked or {}).get("points") or []
        latest = ctx.triggered_id == "coin-newest" or (newest and not points)
        if not points and not latest:
            return callout(user.t("Click a point of the chart."))
        if not model:
            raise InvalidInputError("dashboard.no_model_to_show")
        moment_us = None if latest else drawn.timestamp_us_of(user, str(points[0]["x"]))
        return _features(app, user, int(model), mint, moment_us)

    @app.callback(Output("coin-replayed", "children"), Input("coin-replay", "n_clicks"), State("coin-stored", "data"))
    def replay(user: UserContext, clicks: int | None, stored: str) -> Any:
        live = app.services.live
        return _replay_result(user, live.replay(int(stored))) if clicks and live is not None else None


def _features(app: DashboardApp, user: UserContext, model_id: int, mint: str, moment_us: int | None) -> Any:
    """Return features and prediction of the last row not after a moment, or of the newest for None."""
    record = app.services.models.get(model_id)
    times, values, names = app.cache.get(
        ("features", model_id, mint),
        lambda: _all_features(app, model_id, mint),
        max_age_s=0.0 if moment_us is None else _FEATURES_S,
    )
    k = len(times) - 1 if moment_us is None else drawn.last_index_at(times, moment_us)
    importance = record.feature_importance
    order = sorted(range(len(names)), key=lambda i: -importance.get(names[i], 0.0))[:25]
    rows = [(names[i], user.number(float(values[k, i]), 4)) for i in order]
    (predicted,) = predict_instrument(
        mint, [record], app.services.markets, app.services.models, at_us=int(times[k])
    ).predictions
    return dmc.Stack(
        [
            dmc.Text(user.t("Row of {time}", time=user.date_time_us(int(times[k]))), fw=600, size="sm"),
            dmc.Text(
                user.t(
                    "{name}: probability {share}, prediction: {answer}.",
                    name=record.name,
                    share=user.percent(predicted.probability),
                    answer=user.t("yes") if predicted.prediction else user.t("no"),
                )
            ),
            *_stored_prediction(app, user, model_id, mint, int(times[k])),
            dmc.Text(
                user.tn("Its only feature.", "The most important of {n} features first.", len(names)),
                size="xs",
                c="dimmed",
            ),
            key_value_table(rows),
        ],
        gap=6,
    )


def _stored_prediction(app: DashboardApp, user: UserContext, model_id: int, mint: str, moment_us: int) -> list[Any]:
    """Return what was stored of this row by this model, if anything, with a button to compute it again."""
    stored = next(
        (one for one in _predictions(app, mint) if one.model_id == model_id and to_us(one.timestamp) == moment_us), None
    )
    if stored is None:
        return []
    again = dmc.Button(user.t("Replay this prediction"), id="coin-replay", variant="default", size="xs")
    return [
        dcc.Store(id="coin-stored", data=str(stored.id)),
        dmc.Group([dmc.Text(user.t("Stored live: {share}.", share=user.percent(stored.probability))), again]),
        html.Div(id="coin-replayed", role="status"),
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


def _all_features(app: DashboardApp, model_id: int, mint: str) -> Any:
    record = app.services.models.get(model_id)
    plan = plan_of(record)
    compared = plan.second_stage is not None
    panel = app.services.markets[plan.market.name].load_panel(list(plan.inputs), mints=None if compared else [mint])
    rows = panel.rows_of(mint)
    return panel.timestamps[rows], plan.compute(panel, rows=rows), plan.names


PAGE: Final = PageDefinition("/data/{mint}", N_("Coin"), layout, register_callbacks, menu=False, charts=True)
