"""What Live shows: the newest predictions that a user wishes to see, and those stored since, over the socket."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import dash
from dash import Input, ctx

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.model_lookup import model_names
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.widgets.alert_table import alert_rows
from kurswerk.dashboard.words.user_context import UserContext, user_with

TABLE: Final = "live-table"
_log = logging.getLogger(__name__)
_AGAIN_S: Final = 2.0
# As many as a person can look back at; more would only fill the browser's memory.
_MOST_ROWS: Final = 300
# Of a model's number, in an address.
_MOST_DIGITS: Final = 9


def newest_rows(app: DashboardApp, user: UserContext, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the newest predictions that are wished, as rows of the table."""
    live = app.services.live
    if live is None:
        return []
    coin, model, least = parse_filter(wish)
    names = model_names(app)
    found = live.predictions(coin_id=coin, model_id=model, min_probability=least, limit=100)
    return [_row_of(user, one, names) for one in found]


def parse_filter(wish: Mapping[str, Any]) -> tuple[str | None, int | None, float | None]:
    """Read coin, model and least probability of what a user wishes to see; None is any, and what cannot be.

    Examples
    --------
    >>> parse_filter({"coin": " ", "model": "3", "min": 62.5}), parse_filter({"model": "x", "min": "150"})
    ((None, 3, 0.625), (None, None, None))
    """
    coin = str(wish.get("coin") or "").strip() or None
    model, least = str(wish.get("model") or ""), str(wish.get("min") or "")
    try:
        share = float(least or 0) / 100
    except ValueError:
        share = 0.0
    known = model.isdecimal() and len(model) <= _MOST_DIGITS
    return coin, int(model) if known else None, share if 0 < share <= 1 else None


def _row_of(user: UserContext, one: Prediction, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a prediction as a row of the table."""
    return {
        "id": str(one.id),
        "coin": one.coin_id,
        "href": f"/dashboard/data/{one.coin_id}",
        "model": names.get(one.model_id, f"#{one.model_id}"),
        "model_id": one.model_id,
        "probability": one.probability,
        "says": user.t("yes") if one.prediction else user.t("no"),
        "time": one.timestamp.isoformat(),
    }


def _chosen_of(predictions: Sequence[Prediction], wish: Mapping[str, Any]) -> list[Prediction]:
    """Return what a user wishes to see."""
    coin, model, least = parse_filter(wish)
    return [
        one
        for one in predictions
        if (coin is None or one.coin_id == coin)
        and (model is None or one.model_id == model)
        and (least is None or one.probability >= least)
    ]


def register_stream(app: DashboardApp) -> None:
    """Send a user what is stored, as long as it is wished."""
    newest: dict[str, object] = {}

    async def push(wish: Mapping[str, Any] | None) -> None:
        """Send what is stored until the user wishes something else or leaves."""
        socket, live = ctx.websocket, app.services.live
        reader = getattr(socket, "_renderer_id", "")
        newest.pop(reader, None)  # what was sent until now ends
        if live is None or socket is None or not wish:
            return
        user = user_with(wish.get("language"), wish.get("zone"))
        if wish.get("paused"):
            dash.set_props("live-state", {"children": user.t("paused")})
            return
        mine = newest[reader] = object()

        def wanted() -> bool:
            return not socket.is_shutdown and newest.get(reader) is mine

        while wanted():
            try:
                await _follow(app, user, wish, live.stream(), wanted)
                break
            except Exception:  # noqa: BLE001 - a database that is gone for a while must not end what a user watches
                _log.warning("the stream of predictions is interrupted", exc_info=True)
                dash.set_props("live-state", {"children": user.t("interrupted; tries again")})
                await asyncio.sleep(_AGAIN_S)
        if newest.get(reader) is mine:
            newest.pop(reader, None)

    app.dash_app.callback(Input("live-wish", "data"), websocket=True, prevent_initial_call=True)(push)


async def _follow(
    app: DashboardApp,
    user: UserContext,
    wish: Mapping[str, Any],
    stream: AsyncIterator[Sequence[Prediction]],
    wanted: Callable[[], bool],
) -> None:
    """Show the newest predictions, and then what is stored, as long as it is wanted."""
    rows = await asyncio.to_thread(newest_rows, app, user, wish)
    if not wanted():
        return
    dash.set_props(TABLE, {"rowData": rows})
    dash.set_props("live-state", {"children": user.t("connected")})
    shown = deque(row["id"] for row in rows)
    async for predictions in stream:
        if not wanted():
            break
        chosen = [one for one in _chosen_of(predictions, wish) if str(one.id) not in shown]
        if not chosen:
            continue
        names = await asyncio.to_thread(model_names, app)
        if not wanted():
            break
        _send(user, chosen[-_MOST_ROWS:], names, shown)
        if any(one.alert for one in chosen):
            dash.set_props("live-alerted", {"data": await asyncio.to_thread(alert_rows, app)})


def _send(user: UserContext, chosen: Sequence[Prediction], names: Mapping[int, str], shown: deque[str]) -> None:
    rows = [_row_of(user, one, names) for one in reversed(chosen)]
    shown.extendleft(row["id"] for row in reversed(rows))
    gone = [{"id": shown.pop()} for _ in range(max(len(shown) - _MOST_ROWS, 0))]
    dash.set_props(TABLE, {"rowTransaction": {"add": rows, "addIndex": 0, "remove": gone}})
