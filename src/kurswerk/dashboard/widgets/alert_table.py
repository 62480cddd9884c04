"""Alerts as a table: of all models on Live, of one on its page."""

from typing import Any, Final

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.model_lookup import ModelLabels, model_labels
from kurswerk.dashboard.ports import Alert
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.words.user_context import UserContext

MAX_ALERTS: Final = 100


def alert_rows(app: DashboardApp, model_id: int | None = None) -> list[dict[str, Any]]:
    """Return the newest alerts as rows of the table."""
    live = app.services.live
    labels = model_labels(app)
    return [
        alert_row(one, labels) for one in ([] if live is None else live.alerts(model_id=model_id, limit=MAX_ALERTS))
    ]


def alert_row(one: Alert, labels: ModelLabels) -> dict[str, Any]:
    """Return an alert as a row of the table."""
    return {
        "id": str(one.id),
        "raised": one.created_at.isoformat(),
        "coin": one.coin_id,
        "href": labels.instrument_path(one.model_id, one.coin_id),
        "model": labels.name(one.model_id),
        "probability": one.probability,
        "threshold": one.threshold,
    }


def alert_table(app: DashboardApp, user: UserContext, name: str, model_id: int | None = None) -> Any:
    """Return the table; ``name`` is its id."""
    columns = [
        grid_column("raised", user.t("Raised"), "moment", minWidth=190),
        grid_column("coin", user.t("Coin"), "link", minWidth=220),
        grid_column("model", user.t("Model"), minWidth=150),
        grid_column("probability", user.t("Probability"), "share:1", minWidth=120),
        grid_column("threshold", user.t("Threshold"), "threshold", minWidth=120),
    ]
    return data_grid(
        user,
        name,
        columns,
        alert_rows(app, model_id),
        label=user.t("Alerts"),
        nothing=user.t("No alerts yet."),
        getRowId="params.data.id",  # what stands there already is not drawn again with each alert
        options={"paginationPageSize": 10},
    )
