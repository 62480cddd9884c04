"""What Live shows: the newest predictions that pass a user's filter, and those stored since, over the socket."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import dash
from dash import Input, ctx

from kurswerk.core.errors import StorageError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.model_lookup import ModelLabels, model_labels
from kurswerk.dashboard.ports import LivePredictions, Prediction, PredictionBatch
from kurswerk.dashboard.widgets.alert_table import alert_row, alert_rows
from kurswerk.dashboard.widgets.watchlist_choice import chosen_watchlist, on_list
from kurswerk.dashboard.words.labels import forecast_text
from kurswerk.dashboard.words.user_context import UserContext, user_with
from kurswerk.market.watchlists import WatchedInstrument

TABLE: Final = "live-table"
_log = logging.getLogger(__name__)
_RETRY_S: Final = 2.0
# As many as a person can look back at; more would only fill the browser's memory.
_MAX_ROWS: Final = 300
# The eye follows no more changes than this; what is stored meanwhile comes with the next.
_UPDATE_S: Final = 0.1
# A browser that has not taken so many messages gets no more until it has.
_MAX_UNSENT: Final = 4
# Of a model's number, in an address.
_MAX_DIGITS: Final = 9
Filter = tuple[str | None, int | None, float | None]


def newest_rows(app: DashboardApp, user: UserContext, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the newest predictions that pass a filter, as rows of the table."""
    live = app.services.live
    if live is None:
        return []
    coin, model, least = parse_filter(chosen)
    labels, watched = model_labels(app), on_list(chosen_watchlist(app, chosen))
    found = live.predictions(coin_id=coin, coin_ids=keys_of(watched), model_id=model, min_probability=least, limit=100)
    return [_row_of(user, one, labels) for one in found if is_watched(watched, labels, one)]


def keys_of(watched: frozenset[WatchedInstrument] | None) -> frozenset[str] | None:
    """Return the names of instruments, whatever their market."""
    return None if watched is None else frozenset(one.key for one in watched)


def is_watched(watched: frozenset[WatchedInstrument] | None, labels: ModelLabels, one: Prediction) -> bool:
    """Return whether a prediction is of one of these instruments, which of its name is in its model's market."""
    return watched is None or WatchedInstrument(labels.market(one.model_id), one.coin_id) in watched


def parse_filter(chosen: Mapping[str, Any]) -> Filter:
    """Read coin, model and least probability of a user's filter; None is any, and what cannot be.

    Examples
    --------
    >>> parse_filter({"coin": " ", "model": "3", "min": 62.5}), parse_filter({"model": "x", "min": "150"})
    ((None, 3, 0.625), (None, None, None))
    """
    coin = str(chosen.get("coin") or "").strip() or None
    model, least = str(chosen.get("model") or ""), str(chosen.get("min") or "")
    try:
        share = float(least or 0) / 100
    except ValueError:
        share = 0.0
    known = model.isdecimal() and len(model) <= _MAX_DIGITS
    return coin, int(model) if known else None, share if 0 < share <= 1 else None


def _row_of(user: UserContext, one: Prediction, labels: ModelLabels) -> dict[str, Any]:
    """Return a prediction as a row of the table."""
    return {
        "id": str(one.id),
        "coin": one.coin_id,
        "href": labels.instrument_path(one.model_id, one.coin_id),
        "model": labels.name(one.model_id),
        "model_id": one.model_id,
        "market": labels.market(one.model_id),
        "probability": one.probability,
        "predicted": user.t("yes") if one.prediction else user.t("no"),
        "forecast": "" if one.forecast is None else forecast_text(user, one.forecast),
        "time": one.timestamp.isoformat(),
    }


def register_stream(app: DashboardApp) -> None:
    """Send a user what is stored, as long as the page with its filter is open."""
    newest: dict[str, object] = {}

    async def push(chosen: Mapping[str, Any] | None) -> None:
        """Send what is stored until the user chooses another filter or leaves."""
        socket, live = ctx.websocket, app.services.live
        reader = getattr(socket, "_renderer_id", "")
        newest.pop(reader, None)  # what was sent until now ends
        if live is None or socket is None or not chosen:
            return
        user = user_with(chosen.get("language"), chosen.get("zone"))
        if chosen.get("paused"):
            dash.set_props("live-state", {"children": user.t("paused")})
            return
        mine = newest[reader] = object()

        def wanted() -> bool:
            return not socket.is_shutdown and newest.get(reader) is mine

        await _stream_with_retries(_Page(app, user, live, chosen, wanted, lambda: _unsent(socket)))
        if newest.get(reader) is mine:
            newest.pop(reader, None)

    app.dash_app.callback(Input("live-filter", "data"), websocket=True, prevent_initial_call=True)(push)


def _unsent(socket: Any) -> int:
    """Return how many messages wait for a browser: Dash keeps them without limit."""
    queue = socket._get_outbound_queue()  # noqa: SLF001 - Dash has no other way to see it
    return 0 if queue is None else int(queue.sync_q.qsize())


class _Page:
    """One open page: whom it is for, which predictions it shows, and which rows stand in its table."""

    def __init__(
        self,
        app: DashboardApp,
        user: UserContext,
        live: LivePredictions,
        chosen: Mapping[str, Any],
        wanted: Callable[[], bool],
        unsent: Callable[[], int],
    ) -> None:
        self._app, self.user, self._live, self._chosen = app, user, live, chosen
        self.wanted, self._unsent = wanted, unsent
        self._shown: deque[str] = deque()
        self._watched: frozenset[WatchedInstrument] | None = None
        self._skipped = 0

    async def stream(self) -> None:
        """Show the newest predictions, and then what is stored, as long as that is wanted."""
        coin, model, least = parse_filter(self._chosen)
        self._watched = await asyncio.to_thread(lambda: on_list(chosen_watchlist(self._app, self._chosen)))
        stream = self._live.stream(
            coin_id=coin,
            coin_ids=keys_of(self._watched),
            model_id=model,
            min_probability=least,
            max_rows=_MAX_ROWS,
        )
        async with aclosing(stream) as batches:
            # The newest are read once the feed listens, so that none is stored unseen between the two.
            await anext(batches)
            rows = await asyncio.to_thread(newest_rows, self._app, self.user, self._chosen)
            alerts = await asyncio.to_thread(alert_rows, self._app)
            if not self.wanted():
                return
            self._shown = deque(row["id"] for row in rows)
            dash.set_props(TABLE, {"rowData": rows})
            dash.set_props("live-state", {"children": self.user.t("connected")})
            dash.set_props("live-new-alerts", {"data": alerts})
            async for batch in batches:
                if not self.wanted():
                    return
                if batch.predictions or batch.alerts:
                    await self._show(batch)

    async def _show(self, batch: PredictionBatch) -> None:
        labels = await asyncio.to_thread(model_labels, self._app)
        while self.wanted() and self._unsent() > _MAX_UNSENT:
            await asyncio.sleep(_UPDATE_S)
        if not self.wanted():
            return
        self._add_rows([one for one in batch.predictions if str(one.id) not in self._shown], labels)
        if batch.alerts:
            rows = [alert_row(one, labels) for one in reversed(batch.alerts)]
            dash.set_props("live-new-alerts", {"data": rows})
        if batch.skipped:
            self._skipped += batch.skipped
            text = self.user.t("{n} skipped: more arrived than this page can show", n=self.user.number(self._skipped))
            dash.set_props("live-skipped", {"children": text})
        await asyncio.sleep(_UPDATE_S)

    def _add_rows(self, predictions: Sequence[Prediction], labels: ModelLabels) -> None:
        if not predictions:
            return
        rows = [
            _row_of(self.user, one, labels) for one in reversed(predictions) if is_watched(self._watched, labels, one)
        ]
        self._shown.extendleft(row["id"] for row in reversed(rows))
        gone = [{"id": self._shown.pop()} for _ in range(max(len(self._shown) - _MAX_ROWS, 0))]
        dash.set_props(TABLE, {"rowTransaction": {"add": rows, "addIndex": 0, "remove": gone}})


async def _stream_with_retries(page: _Page) -> None:
    reported = False
    while page.wanted():
        try:
            await page.stream()
        except StorageError:
            pass  # the feed logs an outage of the database once for all pages
        except Exception:  # noqa: BLE001 - whatever it is, it must not end what a user watches
            if not reported:
                _log.exception("the stream of predictions is interrupted")
            reported = True
        else:
            return
        if page.wanted():
            dash.set_props("live-state", {"children": page.user.t("interrupted; reconnecting")})
            await asyncio.sleep(_RETRY_S)
