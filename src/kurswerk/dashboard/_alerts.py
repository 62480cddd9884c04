"""Alerts as a table: of all models on Live, of one on its page."""

from typing import Any, Final

from kurswerk.dashboard._components import column, grid
from kurswerk.dashboard._kit import Kit
from kurswerk.dashboard._listings import model_names
from kurswerk.dashboard._view import View

_MOST: Final = 100


def alert_rows(kit: Kit, model_id: int | None = None) -> list[dict[str, Any]]:
    """Return the newest alerts as rows of the table."""
    live = kit.services.live
    names = model_names(kit)
    return [
        {
            "id": str(one.id),
            "raised": one.created_at.isoformat(),
            "coin": one.coin_id,
            "href": f"/dashboard/data/{one.coin_id}",
            "model": names.get(one.model_id, f"#{one.model_id}"),
            "probability": one.probability,
            "threshold": one.threshold,
        }
        for one in ([] if live is None else live.alerts(model_id=model_id, limit=_MOST))
    ]


def alert_table(kit: Kit, view: View, name: str, model_id: int | None = None) -> Any:
    """Return the table; ``name`` is its id."""
    columns = [
        column("raised", view.t("Raised"), "moment", minWidth=190),
        column("coin", view.t("Coin"), "link", minWidth=220),
        column("model", view.t("Model"), minWidth=150),
        column("probability", view.t("Probability"), "share:1", minWidth=120),
        column("threshold", view.t("Threshold"), "threshold", minWidth=120),
    ]
    return grid(
        view,
        name,
        columns,
        alert_rows(kit, model_id),
        label=view.t("Alerts"),
        nothing=view.t("No alerts yet."),
        getRowId="params.data.id",  # what stands there already is not drawn again with each alert
        options={"paginationPageSize": 10},
    )
