"""One coin: its candles, volume and phases, what models said of it, and the features behind any point."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, Patch, State, ctx, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard import _coins as drawn
from kurswerk.dashboard._components import alert, card, fact, facts, figure, heading, link_button
from kurswerk.dashboard._evaluations import pair_table
from kurswerk.dashboard._kit import Kit, Page
from kurswerk.dashboard._listings import model_names, ready_models
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.dashboard.ports import Prediction
from kurswerk.registry import plan_of
from kurswerk.serving import Replay, predict_coin

_MOST_PREDICTIONS: Final = 2000
# While somebody moves about in a chart its rows are not loaded anew.
_LOOKED_AT_S: Final = 300.0
_PREDICTIONS_S: Final = 5.0
_FEATURES_S: Final = 60.0


def build(kit: Kit, view: View, query: dict[str, str], mint: str) -> Any:
    """Return one coin's page; ``models`` of the address are the models whose predictions are marked."""
    panel = drawn.coin_panel(kit, mint)
    predictions = _predictions(kit, mint)
    names = model_names(kit)
    models = sorted({one.model_id for one in predictions})
    wanted = [one for one in query.get("models", "").split(",") if one in {str(model) for model in models}]
    shown = wanted or [str(model) for model in models[:2]]
    first, last = drawn.span_us(panel)
    return html.Div(
        [
            dcc.Store(id="coin-name", data=mint),
            heading(mint, link_button(view.t("All coins"), "/dashboard/data", variant="default")),
            html.Div(
                facts(
                    fact(view.t("Rows"), view.number(len(panel))),
                    fact(view.t("Oldest row"), view.moment_us(first)),
                    fact(view.t("Newest row"), view.moment_us(last)),
                    fact(view.t("Last price"), view.price(drawn.last_value(panel, "price_close"))),
                ),
                style={"marginBottom": 16},
            ),
            dmc.Grid(
                [
                    card(
                        view.t("Price, volume and phases"),
                        _marks(view, models, shown, names),
                        figure(
                            view,
                            "coin-chart",
                            drawn.coin_figure(view, panel, drawn.marks_of(predictions, shown, names)),
                            label=view.t("Candles with volume; dots mark predictions"),
                            config={"scrollZoom": True},
                        ),
                        text=view.t("Drag to look closer, double-click to see all. Click a point to see its features."),
                        span={"base": 12, "lg": 8},
                    ),
                    card(
                        view.t("Features behind a point"),
                        _choose_model(kit, view, shown),
                        dmc.Group([dmc.Button(view.t("Newest row"), id="coin-newest", variant="default", size="xs")]),
                        html.Div(alert(view.t("Click a point of the chart.")), id="coin-features", role="status"),
                        span={"base": 12, "lg": 4},
                    ),
                ]
            ),
        ]
    )


def _predictions(kit: Kit, mint: str) -> Sequence[Prediction]:
    live = kit.services.live
    if live is None:
        return []
    read = partial(live.predictions, coin_id=mint, limit=_MOST_PREDICTIONS)
    return kit.memory.get(("coin predictions", mint), read, seconds=_PREDICTIONS_S)


def _marks(view: View, models: list[int], shown: list[str], names: Any) -> Any:
    if not models:
        return html.Div(dmc.CheckboxGroup([], id="coin-models", value=[]), style={"display": "none"})
    boxes = dmc.Group([dmc.Checkbox(label=names.get(model, f"#{model}"), value=str(model)) for model in models])
    return dmc.CheckboxGroup(boxes, id="coin-models", value=shown, label=view.t("Predictions shown"))


def _choose_model(kit: Kit, view: View, shown: Sequence[str]) -> Any:
    choices = [{"value": str(one.id), "label": one.name} for one in ready_models(kit)]
    # One whose predictions are looked at, if there is any.
    order = sorted((one["value"] for one in choices), key=lambda value: value not in shown)
    return dmc.Select(
        id="coin-model",
        label=view.t("As this model sees it"),
        data=choices,
        value=order[0] if order else None,
        allowDeselect=False,
        placeholder=view.t("no model is ready"),
    )


def register(kit: Kit) -> None:
    """Add the callbacks."""
    kit.in_browser("(models) => kurswerk.query({models})", Input("coin-models", "value"))

    @kit.on(
        Output("coin-chart", "figure"),
        Input("coin-chart", "relayoutData"),
        Input("coin-models", "value"),
        State("coin-name", "data"),
    )
    def redraw(view: View, moved: dict[str, Any] | None, models: list[str] | None, mint: str) -> Any:
        panel = drawn.coin_panel(kit, mint, seconds=_LOOKED_AT_S)
        window = drawn.window_of(view, moved or {})
        marks = drawn.marks_of(_predictions(kit, mint), models or [], model_names(kit))
        drawing = Patch()
        drawing["data"] = drawn.coin_traces(view, panel, marks, window)
        for name, parts in drawn.phase_lines(view, panel, window).items():
            drawing["layout"][name] = parts
        return drawing

    @kit.on(
        Output("coin-features", "children"),
        Input("coin-chart", "clickData"),
        Input("coin-model", "value"),
        Input("coin-newest", "n_clicks"),
        State("coin-name", "data"),
    )
    def explain(view: View, clicked: dict[str, Any] | None, model: str | None, newest: int | None, mint: str) -> Any:
        points = (clicked or {}).get("points") or []
        latest = ctx.triggered_id == "coin-newest" or (newest and not points)
        if not points and not latest:
            return alert(view.t("Click a point of the chart."))
        if not model:
            raise InvalidInputError(view.t("Train a model first; then its features can be shown."))
        moment_us = None if latest else drawn.us_of(view, str(points[0]["x"]))
        return _features(kit, view, int(model), mint, moment_us)

    @kit.on(Output("coin-replayed", "children"), Input("coin-replay", "n_clicks"), State("coin-stored", "data"))
    def check(view: View, clicks: int | None, stored: str) -> Any:
        live = kit.services.live
        return _replayed(view, live.replay(int(stored))) if clicks and live is not None else None


def _features(kit: Kit, view: View, model_id: int, mint: str, moment_us: int | None) -> Any:
    """Return what a model made of the last row not after a moment, or of the newest for None."""
    record = kit.services.models.get(model_id)
    times, values, names = kit.memory.get(
        ("features", model_id, mint),
        lambda: _all_features(kit, model_id, mint),
        seconds=0.0 if moment_us is None else _FEATURES_S,
    )
    k = len(times) - 1 if moment_us is None else drawn.last_at(times, moment_us)
    importance = record.feature_importance
    order = sorted(range(len(names)), key=lambda i: -importance.get(names[i], 0.0))[:25]
    rows = [(names[i], view.number(float(values[k, i]), 4)) for i in order]
    (said,) = predict_coin(mint, [record], kit.services.market, kit.services.models, at_us=int(times[k])).predictions
    return dmc.Stack(
        [
            dmc.Text(view.t("Row of {time}", time=view.moment_us(int(times[k]))), fw=600, size="sm"),
            dmc.Text(
                view.t(
                    "{name} gives {share} here and says {answer}.",
                    name=record.name,
                    share=view.percent(said.probability),
                    answer=view.t("yes") if said.prediction else view.t("no"),
                )
            ),
            *_stored(kit, view, model_id, mint, int(times[k])),
            dmc.Text(view.t("The most important of {n} features first.", n=len(names)), size="xs", c="dimmed"),
            pair_table(rows),
        ],
        gap=6,
    )


def _stored(kit: Kit, view: View, model_id: int, mint: str, moment_us: int) -> list[Any]:
    """Return what was stored of this row by this model, if anything, with a button to compute it again."""
    stored = next(
        (one for one in _predictions(kit, mint) if one.model_id == model_id and to_us(one.timestamp) == moment_us), None
    )
    if stored is None:
        return []
    again = dmc.Button(view.t("Compute it again"), id="coin-replay", variant="default", size="xs")
    return [
        dcc.Store(id="coin-stored", data=str(stored.id)),
        dmc.Group([dmc.Text(view.t("Stored live: {share}.", share=view.percent(stored.probability))), again]),
        html.Div(id="coin-replayed", role="status"),
    ]


def _replayed(view: View, found: Replay) -> Any:
    """Say whether a prediction comes out as it was stored, and if not, why."""
    share = view.percent(found.score)
    if found.equal:
        words = [view.t("It comes out the same in every bit: {share}.", share=share)]
    else:
        before = view.percent(found.stored_score)
        words = [view.t("It comes out as {share} instead of {stored}.", share=share, stored=before)]
    if found.late_rows:
        words.append(view.t("Rows that came after it and were left out: {n}.", n=view.number(found.late_rows)))
    if found.corrected_rows:
        words.append(view.t("Rows that were corrected after it: {n}.", n=view.number(len(found.corrected_rows))))
    return alert(" ".join(words), color="teal" if found.equal else "red")


def _all_features(kit: Kit, model_id: int, mint: str) -> Any:
    record = kit.services.models.get(model_id)
    plan = plan_of(record)
    panel = kit.services.market.load_panel(list(plan.inputs), mints=[mint])
    return panel.timestamps, plan.compute(panel), plan.names


PAGE: Final = Page("/data/{mint}", N_("Coin"), build, register, menu=False, charts=True)
