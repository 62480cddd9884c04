"""Test: judge models on a period and coins of one's choice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, html

from kurswerk.core.errors import InvalidInputError, KurswerkError
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard._components import alert, card, empty, heading, link_button
from kurswerk.dashboard._kit import Kit, Page, demand, notify, to
from kurswerk.dashboard._periods import moments_of, period_fields, register_period, whole_period
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.evaluation import overlap
from kurswerk.registry import ModelRecord
from kurswerk.training import Period, order_test

_LATER_SHARE: Final = 2 / 3


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the form; ``models`` of the address are chosen already."""
    ready = kit.services.models.find(status="READY", limit=1000)
    if not ready:
        return html.Div([heading(view.t("Test")), no_ready_model(view)])
    wanted = [one for one in query.get("models", "").split(",") if one in {str(record.id) for record in ready}]
    chosen = [record for record in ready if str(record.id) in wanted]
    return html.Div(
        [
            heading(view.t("Test"), text=view.t("Judge models on rows they have not learnt from.")),
            dmc.Grid(
                [
                    card(
                        view.t("What is tested on what?"),
                        dmc.MultiSelect(
                            id="test-models",
                            label=view.t("Models"),
                            data=model_choices(ready),
                            value=wanted,
                            searchable=True,
                        ),
                        period_fields(kit, view, "test", later_period(kit, chosen), training_marks(view, chosen)),
                        coin_field(kit, view, "test-mints"),
                        span={"base": 12, "lg": 8},
                    ),
                    card(
                        view.t("Order"),
                        html.Div(id="test-remarks", role="status"),
                        dmc.Button(view.t("Start the test"), id="test-order", disabled=True, fullWidth=True),
                        span={"base": 12, "lg": 4},
                    ),
                ]
            ),
        ]
    )


def no_ready_model(view: View) -> Any:
    """Return what stands where a trained model is needed and there is none."""
    return empty(
        view.t("No model is ready"),
        view.t("First train one; then it can be tested on later data and compared with others."),
        link_button(view.t("New model"), "/dashboard/new", variant="filled"),
    )


def model_choices(records: Sequence[ModelRecord]) -> list[dict[str, str]]:
    """Return models to choose from."""
    return [{"value": str(record.id), "label": f"{record.name} (#{record.id})"} for record in records]


def coin_field(kit: Kit, view: View, name: str) -> Any:
    """Return a field for coins; empty is all."""
    coins = kit.memory.get("coins", lambda: list(kit.services.market.coins()), seconds=30)
    return dmc.MultiSelect(
        id=name,
        label=view.t("Coins"),
        placeholder=view.t("all"),
        data=list(coins)[:2000],
        limit=50,
        searchable=True,
        clearable=True,
    )


def later_period(kit: Kit, records: Sequence[ModelRecord]) -> tuple[datetime, datetime] | None:
    """Return the time after the models' training, or the last third where nothing is after it."""
    whole = whole_period(kit)
    if whole is None:
        return None
    trained = max((record.train_end for record in records), default=None)
    if trained is not None and trained < whole[1]:
        return trained, whole[1]
    return whole_period(kit, _LATER_SHARE)


def training_marks(view: View, records: Sequence[ModelRecord]) -> list[tuple[datetime, datetime, str]]:
    """Return the models' training periods to mark on the picture."""
    return [(one.train_start, one.train_end, view.t("training of {name}", name=one.name)) for one in records[:3]]


def overlap_warnings(view: View, records: Sequence[ModelRecord], moments: tuple[datetime, datetime]) -> list[Any]:
    """Warn of each model whose training shares time with the period."""
    start_us, end_us = map(to_us, moments)
    found = []
    for record in records:
        shared = overlap(to_us(record.train_start), to_us(record.train_end), start_us, end_us)
        if shared.has_overlap:
            text = view.t(
                "{share} of the period lie in the training of {name}. It knows these rows; the figures flatter it.",
                share=view.percent(shared.share, 0),
                name=record.name,
            )
            found.append(alert(text, title=view.t("Overlap with the training"), color="orange"))
    return found


def register(kit: Kit) -> None:
    """Add the callbacks."""
    register_period(kit, "test")
    kit.in_browser("(models) => kurswerk.query({models})", Input("test-models", "value"))

    @kit.on(
        Output("test-remarks", "children"),
        Output("test-order", "disabled"),
        Input("test-models", "value"),
        Input("test-start", "value"),
        Input("test-end", "value"),
        at_start=True,
    )
    def check(view: View, models: list[str] | None, start: str | None, end: str | None) -> Any:
        if not models:
            return alert(view.t("Choose at least one model.")), True
        try:
            moments = moments_of(view, start, end)
            Period(*map(to_us, moments))
        except KurswerkError as error:
            return alert(str(error), color="orange"), True
        records = [kit.services.models.get(int(one)) for one in models]
        warnings = overlap_warnings(view, records, moments)
        fine = alert(view.t("The period lies outside of the training."), color="teal")
        return dmc.Stack(warnings or [fine]), False

    @kit.on(
        Output("go", "data", allow_duplicate=True),
        Input("test-order", "n_clicks"),
        State("test-models", "value"),
        State("test-start", "value"),
        State("test-end", "value"),
        State("test-mints", "value"),
        running=[(Output("test-order", "loading"), True, False)],
    )
    def order(view: View, _: int | None, models: list[str], start: str, end: str, mints: list[str] | None) -> Any:
        demand(view, "train")
        if not models:
            raise InvalidInputError(view.t("Choose at least one model."))
        period = Period(*map(to_us, moments_of(view, start, end)))
        jobs = [order_test(int(one), period, mints or None, kit.services.desk) for one in models]
        notify(view.t("Ordered"), view.t("{n} jobs are in the queue.", n=len(jobs)))
        return to("/dashboard/jobs")


PAGE: Final = Page("/test", N_("Test"), build, register, icon="test", charts=True)
