"""Models: all of them, to sort, filter, search, test, compare and delete."""

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.components import STATUS_WORDS, empty_state, link_button, page_header
from kurswerk.dashboard.widgets.confirm_button import confirm_button, confirm_id
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import MODEL_TYPE_WORDS, target_description
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import MODEL_STATUSES, ModelRecord

_MAX_MODELS: Final = 1000
_STATUSES: Final = tuple(sorted(MODEL_STATUSES, key="READY".__ne__))
_REFRESH_MS: Final = 5000


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the table; ``status`` and ``search`` of the address are its filters."""
    found = app.services.models.find(limit=_MAX_MODELS)
    new = link_button(user.t("New model"), "/dashboard/new", variant="filled")
    if not found:
        return html.Div(
            [
                page_header(user.t("Models")),
                empty_state(
                    user.t("No model yet"),
                    user.t(
                        "A model learns from market rows to predict one target, "
                        "such as a price 20% higher in ten minutes. "
                        "The form for a new one has sensible defaults for every field."
                    ),
                    new,
                ),
            ]
        )
    return html.Div(
        [
            page_header(user.t("Models"), new, text=user.t("Choose rows to test, compare or delete them together.")),
            _filters(user, query),
            _selection_actions(user),
            data_grid(
                user,
                "models-table",
                _columns(user),
                _rows(user, found),
                label=user.t("Models"),
                getRowId="params.data.id",
                options={"rowSelection": {"mode": "multiRow", "enableClickSelection": False}},
            ),
            dcc.Interval(id="models-tick", interval=_REFRESH_MS),
        ]
    )


def _filters(user: UserContext, query: dict[str, str]) -> Any:
    every = [{"value": "", "label": user.t("all")}]
    return dmc.Group(
        [
            dmc.TextInput(
                id="models-search",
                value=query.get("search", ""),
                placeholder=user.t("Search name, target, type …"),
                w=280,
                **{"aria-label": user.t("Search")},
            ),
            dmc.SegmentedControl(
                id="models-status",
                value=query.get("status", "") if query.get("status", "") in _STATUSES else "",
                data=every + [{"value": status, "label": user.t(STATUS_WORDS[status])} for status in _STATUSES],
                **{"aria-label": user.t("Status")},
            ),
        ],
        mb="sm",
    )


def _selection_actions(user: UserContext) -> Any:
    return dmc.Group(
        [
            dmc.Text(user.t("Selected: {n}", n=0), id="models-chosen", size="sm", c="dimmed", miw=90),
            dmc.Button(user.t("Test"), id="models-test", size="xs", variant="light", disabled=True),
            dmc.Button(user.t("Compare"), id="models-compare", size="xs", variant="light", disabled=True),
            html.Div(
                confirm_button(
                    user,
                    "models-delete",
                    user.t("Delete"),
                    user.t("The chosen models, their tests and their live predictions disappear from all lists."),
                    small=True,
                ),
                id="models-delete-box",
            ),
        ],
        mb="sm",
        gap="xs",
    )


def _columns(user: UserContext) -> list[dict[str, Any]]:
    words = {"words": {status: user.t(text) for status, text in STATUS_WORDS.items()}}
    return [
        grid_column("name", user.t("Name"), "link", pinned=None, minWidth=190),
        grid_column("status", user.t("Status"), "status", cellRendererParams=words),
        grid_column("active", user.t("Active"), minWidth=90),
        grid_column("type", user.t("Type"), minWidth=150),
        grid_column("target", user.t("Target"), minWidth=220, flex=2, tooltipField="target"),
        grid_column(
            "pr_auc", user.t("PR-AUC"), "number:3", minWidth=105, headerTooltip=user.t("Beside it: the base rate")
        ),
        grid_column("base_rate", user.t("Base rate"), "share:1", minWidth=115),
        grid_column("f1", "F1", "number:3"),
        grid_column("roc_auc", "ROC-AUC", "number:3", minWidth=110),
        grid_column("profit", user.t("Return per trade, %"), "number:2", minWidth=130, wrapHeaderText=True),
        grid_column("certified", user.t("Certified"), minWidth=110),
        grid_column("created", user.t("Created"), "moment", minWidth=170),
    ]


def _rows(user: UserContext, found: Sequence[ModelRecord]) -> list[dict[str, Any]]:
    return [_row(user, record) for record in found]


def _row(user: UserContext, record: ModelRecord) -> dict[str, Any]:
    estimates = (record.evaluation or {}).get("metrics") or {}
    certificate = record.certificate
    return {
        "id": str(record.id),
        "name": record.name,
        "href": f"/dashboard/models/{record.id}",
        "status": record.status,
        "active": user.t("yes") if record.is_active else user.t("no"),
        "type": user.t(MODEL_TYPE_WORDS.get(record.model_type, record.model_type)),
        "target": target_description(user, record),
        "pr_auc": (estimates.get("pr_auc") or {}).get("value"),
        "base_rate": (estimates.get("base_rate") or {}).get("value"),
        "f1": record.metrics.f1 if record.metrics else None,
        "roc_auc": record.metrics.roc_auc if record.metrics else None,
        "profit": record.metrics.simulated_profit_pct if record.metrics else None,
        "certified": "–" if certificate is None else user.t("yes") if certificate.get("certified") else user.t("no"),
        "created": record.created_at.isoformat(),
    }


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    app.clientside_callback(
        """(search, status) => {
            kurswerk.query({search, status});
            const text = (search || '').trim();
            const matches = (row) => (!status || row.status === status) && kurswerk.containsWords(row, text);
            kurswerk.filterTable('models-table', matches);
        }""",
        Input("models-search", "value"),
        Input("models-status", "value"),
        initial_call=True,
    )

    @app.callback(Output("models-table", "rowData"), Input("models-tick", "n_intervals"))
    def renew(user: UserContext, _: int | None) -> Any:
        return _rows(user, app.services.models.find(limit=_MAX_MODELS))

    @app.callback(
        Output("models-chosen", "children"),
        Output("models-test", "disabled"),
        Output("models-compare", "disabled"),
        Output({"kind": "danger-open", "what": "models-delete"}, "disabled"),
        Input("models-table", "selectedRows"),
        initial_call=True,
    )
    def choose(user: UserContext, rows: list[dict[str, Any]] | None) -> Any:
        n = len(rows or [])
        return user.t("Selected: {n}", n=n), n == 0, n != 2, n == 0

    app.clientside_callback(
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

    @app.callback(
        Output("models-tick", "n_intervals"),
        Output("models-table", "selectedRows"),
        Input(confirm_id("models-delete"), "n_clicks"),
        State("models-table", "selectedRows"),
        State("models-tick", "n_intervals"),
    )
    def delete(user: UserContext, clicks: int | None, rows: list[dict[str, Any]] | None, ticks: int | None) -> Any:
        if clicks:
            require_scope(user, "admin")
            if not rows:
                raise InvalidInputError("dashboard.no_model_ticked")
            for row in rows:
                app.services.models.delete(int(row["id"]))
            app.cache.clear()
            notify(user.t("Deleted"), ", ".join(row["name"] for row in rows))
        return (ticks or 0) + 1, []


PAGE: Final = PageDefinition("/models", N_("Models"), layout, register_callbacks, icon="models", tables=True)
