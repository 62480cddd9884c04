"""Models: all of them, to sort, filter, search, test, compare and delete."""

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard._components import (
    STATUS_WORDS,
    column,
    danger,
    danger_id,
    empty,
    grid,
    heading,
    link_button,
)
from kurswerk.dashboard._kit import Kit, Page, demand, notify
from kurswerk.dashboard._listings import MODEL_TYPE_WORDS, target_words
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.registry import ModelRecord

_MOST: Final = 1000
_STATUSES: Final = ("READY", "TRAINING", "FAILED")
_EVERY_MS: Final = 5000


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the table; ``status`` and ``search`` of the address are its filters."""
    found = kit.services.models.find(limit=_MOST)
    new = link_button(view.t("New model"), "/dashboard/new", variant="filled")
    if not found:
        return html.Div(
            [
                heading(view.t("Models")),
                empty(
                    view.t("No model yet"),
                    view.t(
                        "A model learns from market rows to foresee one thing, say a price 20 % higher in ten minutes. "
                        "The form for a new one has sensible defaults for every field."
                    ),
                    new,
                ),
            ]
        )
    return html.Div(
        [
            heading(view.t("Models"), new, text=view.t("Choose rows to test, compare or delete them together.")),
            _filters(view, query),
            _bulk(view),
            grid(
                view,
                "models-table",
                _columns(view),
                _rows(view, found),
                label=view.t("Models"),
                getRowId="params.data.id",
                options={"rowSelection": {"mode": "multiRow", "enableClickSelection": False}},
            ),
            dcc.Interval(id="models-tick", interval=_EVERY_MS),
        ]
    )


def _filters(view: View, query: dict[str, str]) -> Any:
    every = [{"value": "", "label": view.t("all")}]
    return dmc.Group(
        [
            dmc.TextInput(
                id="models-search",
                value=query.get("search", ""),
                placeholder=view.t("Search name, target, type …"),
                w=280,
                **{"aria-label": view.t("Search")},
            ),
            dmc.SegmentedControl(
                id="models-status",
                value=query.get("status", "") if query.get("status", "") in _STATUSES else "",
                data=every + [{"value": status, "label": view.t(STATUS_WORDS[status])} for status in _STATUSES],
                **{"aria-label": view.t("Status")},
            ),
        ],
        mb="sm",
    )


def _bulk(view: View) -> Any:
    return dmc.Group(
        [
            dmc.Text(view.t("Chosen: {n}", n=0), id="models-chosen", size="sm", c="dimmed", miw=90),
            dmc.Button(view.t("Test"), id="models-test", size="xs", variant="light", disabled=True),
            dmc.Button(view.t("Compare"), id="models-compare", size="xs", variant="light", disabled=True),
            html.Div(
                danger(
                    view,
                    "models-delete",
                    view.t("Delete"),
                    view.t("The chosen models, their tests and their live predictions disappear from all lists."),
                    small=True,
                ),
                id="models-delete-box",
            ),
        ],
        mb="sm",
        gap="xs",
    )


def _columns(view: View) -> list[dict[str, Any]]:
    words = {"words": {status: view.t(text) for status, text in STATUS_WORDS.items()}}
    return [
        column("name", view.t("Name"), "link", pinned=None, minWidth=190),
        column("status", view.t("Status"), "status", cellRendererParams=words),
        column("active", view.t("Active"), minWidth=90),
        column("type", view.t("Type"), minWidth=150),
        column("target", view.t("Target"), minWidth=220, flex=2, tooltipField="target"),
        column("pr_auc", view.t("PR-AUC"), "number:3", minWidth=105, headerTooltip=view.t("Beside it: the base rate")),
        column("base_rate", view.t("Base rate"), "share:1", minWidth=115),
        column("f1", "F1", "number:3"),
        column("roc_auc", "ROC-AUC", "number:3", minWidth=110),
        column("profit", view.t("Return per trade, %"), "number:2", minWidth=130, wrapHeaderText=True),
        column("certified", view.t("Certified"), minWidth=110),
        column("created", view.t("Made"), "moment", minWidth=170),
    ]


def _rows(view: View, found: Sequence[ModelRecord]) -> list[dict[str, Any]]:
    return [_row(view, record) for record in found]


def _row(view: View, record: ModelRecord) -> dict[str, Any]:
    estimates = (record.evaluation or {}).get("metrics") or {}
    certificate = record.certificate
    return {
        "id": str(record.id),
        "name": record.name,
        "href": f"/dashboard/models/{record.id}",
        "status": record.status,
        "active": view.t("yes") if record.is_active else view.t("no"),
        "type": view.t(MODEL_TYPE_WORDS.get(record.model_type, record.model_type)),
        "target": target_words(view, record),
        "pr_auc": (estimates.get("pr_auc") or {}).get("value"),
        "base_rate": (estimates.get("base_rate") or {}).get("value"),
        "f1": record.metrics.f1 if record.metrics else None,
        "roc_auc": record.metrics.roc_auc if record.metrics else None,
        "profit": record.metrics.simulated_profit_pct if record.metrics else None,
        "certified": "–" if certificate is None else view.t("yes") if certificate.get("certified") else view.t("no"),
        "created": record.created_at.isoformat(),
    }


def register(kit: Kit) -> None:
    """Add the callbacks."""
    kit.in_browser(
        """(search, status) => {
            kurswerk.query({search, status});
            const text = (search || '').trim();
            kurswerk.sift('models-table', (row) => (!status || row.status === status) && kurswerk.holds(row, text));
        }""",
        Input("models-search", "value"),
        Input("models-status", "value"),
        at_start=True,
    )

    @kit.on(Output("models-table", "rowData"), Input("models-tick", "n_intervals"))
    def renew(view: View, _: int | None) -> Any:
        return _rows(view, kit.services.models.find(limit=_MOST))

    @kit.on(
        Output("models-chosen", "children"),
        Output("models-test", "disabled"),
        Output("models-compare", "disabled"),
        Output({"kind": "danger-open", "what": "models-delete"}, "disabled"),
        Input("models-table", "selectedRows"),
        at_start=True,
    )
    def choose(view: View, rows: list[dict[str, Any]] | None) -> Any:
        n = len(rows or [])
        return view.t("Chosen: {n}", n=n), n == 0, n != 2, n == 0

    kit.in_browser(
        """(test, compare, rows) => {
            const from = dash_clientside.callback_context.triggered_id;
            const chosen = (rows || []).map((row) => row.id);
            if (!dash_clientside.callback_context.triggered[0].value || !chosen.length) return;
            kurswerk.go(from === 'models-test' ? `/dashboard/test?models=${chosen.join(',')}`
                                               : `/dashboard/compare?a=${chosen[0]}&b=${chosen[1]}`);
        }""",
        Input("models-test", "n_clicks"),
        Input("models-compare", "n_clicks"),
        State("models-table", "selectedRows"),
    )

    @kit.on(
        Output("models-tick", "n_intervals"),
        Output("models-table", "selectedRows"),
        Input(danger_id("models-delete"), "n_clicks"),
        State("models-table", "selectedRows"),
        State("models-tick", "n_intervals"),
    )
    def delete(view: View, clicks: int | None, rows: list[dict[str, Any]] | None, ticks: int | None) -> Any:
        if clicks:
            demand(view, "admin")
            if not rows:
                raise InvalidInputError(view.t("No model is chosen; tick the boxes at the left of the table."))
            for row in rows:
                kit.services.models.delete(int(row["id"]))
            kit.memory.forget()
            notify(view.t("Deleted"), ", ".join(row["name"] for row in rows))
        return (ticks or 0) + 1, []


PAGE: Final = Page("/models", N_("Models"), build, register, icon="models", tables=True)
