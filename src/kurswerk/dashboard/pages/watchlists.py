"""Watchlists: instruments of any markets with price, change and newest prediction; made and changed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import dash_mantine_components as dmc
import numpy as np
from dash import ALL, Input, Output, State, ctx, dcc, html

from kurswerk.core.errors import InvalidInputError, NotFoundError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, redirect_to, require_scope
from kurswerk.dashboard.callbacks.model_lookup import model_labels
from kurswerk.dashboard.callbacks.pages import PageDefinition, instrument_path
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.widgets.components import callout, card, empty_state, link_button, page_header, scrollable
from kurswerk.dashboard.widgets.confirm_button import confirm_button, confirm_id
from kurswerk.dashboard.widgets.instrument_chart import ChartTimes
from kurswerk.dashboard.widgets.instrument_facts import directory_of, instrument_facts, instrument_names
from kurswerk.dashboard.widgets.market_choice import instruments, market_word
from kurswerk.dashboard.widgets.sparkline import sparkline
from kurswerk.dashboard.widgets.watchlist_choice import chosen_watchlist, watchlists
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import MARKETS, Role, market_named
from kurswerk.market.watchlists import WatchedInstrument, Watchlist, WatchlistStore

# As many rows as are drawn in a sparkline, and as many instruments as are shown.
_ROWS: Final = 60
_MAX_SHOWN: Final = 100
# Of each market; a browser gets slow with more.
_MAX_CHOICES: Final = 3000
_QUOTES_S: Final = 15.0


@dataclass(frozen=True)
class _Quote:
    """What an instrument costs: its newest closes, the oldest first, and when the last one was."""

    closes: tuple[float, ...]
    last_us: int

    @property
    def change(self) -> float | None:
        """The last close against the one before, as a share."""
        if len(self.closes) < 2 or not self.closes[-2] or not np.isfinite(self.closes[-2:]).all():
            return None
        return self.closes[-1] / self.closes[-2] - 1


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the page; ``watchlist`` of the address is the list that is shown, else the first."""
    head = page_header(user.t("Watchlists"), text=user.t("Instruments that you follow together."))
    if app.services.watchlists is None:
        return html.Div([head, callout(user.t("No watchlists are part of this installation."))])
    found = watchlists(app)
    shown = chosen_watchlist(app, query) or (found[0] if found else None)
    links = [
        link_button(
            one.name,
            f"/dashboard/watchlists?watchlist={one.id}",
            variant="filled" if shown is not None and one.id == shown.id else "default",
            size="xs",
        )
        for one in found
    ]
    return html.Div(
        [
            head,
            dmc.Group([*links, _new_list(user)], gap="xs", mb="sm", align="flex-end"),
            dcc.Store(id="watch-list", data=None if shown is None else shown.id),
            html.Div(_content(app, user, shown), id="watch-content"),
        ]
    )


def _new_list(user: UserContext) -> Any:
    return dmc.Group(
        [
            dmc.TextInput(
                id="watch-name",
                placeholder=user.t("Name of a new list"),
                size="xs",
                w=190,
                **{"aria-label": user.t("Name of a new list")},
            ),
            dmc.Button(user.t("Make the list"), id="watch-create", size="xs", variant="light"),
        ],
        gap="xs",
    )


def _content(app: DashboardApp, user: UserContext, shown: Watchlist | None) -> Any:
    if shown is None:
        return empty_state(
            user.t("There is no watchlist yet"),
            user.t("Name one above, then add instruments of any market. Pages and calls can be narrowed down to it."),
        )
    return card(
        shown.name,
        _additions(app, user),
        _table(app, user, shown) if shown.instruments else callout(user.t("Nothing is on it yet. Add an instrument.")),
        dmc.Group(
            [
                confirm_button(
                    user,
                    "watch-delete",
                    user.t("Delete this list"),
                    user.t("The list is gone then; its instruments and their rows stay."),
                    small=True,
                )
            ],
            justify="flex-end",
        ),
    )


def _additions(app: DashboardApp, user: UserContext) -> Any:
    """Return a field that finds instruments of all markets by symbol and by name."""
    groups = []
    for market in MARKETS.values():
        if market.name not in app.services.markets:
            continue
        names = instrument_names(app, market)
        items = [
            {"value": f"{market.name} {key}", "label": f"{key} · {names[key]}" if key in names else key}
            for key in instruments(app, market)[:_MAX_CHOICES]
        ]
        if items:
            groups.append({"group": market_word(user, market), "items": items})
    return dmc.Select(
        id="watch-add",
        data=groups,
        searchable=True,
        limit=50,
        placeholder=user.t("Add an instrument: type a symbol or a name"),
        nothingFoundMessage=user.t("Nothing matches"),
        maw=420,
        **{"aria-label": user.t("Add an instrument: type a symbol or a name")},
    )


def _table(app: DashboardApp, user: UserContext, shown: Watchlist) -> Any:
    titles = (
        N_("Instrument"),
        N_("Name"),
        N_("Price"),
        N_("Change"),
        N_("Course"),
        N_("As of"),
        N_("Newest prediction"),
    )
    right = {2, 3, 5}
    head = html.Thead(
        html.Tr(
            [
                *(html.Th(user.t(text), className="kw-r" if k in right else "") for k, text in enumerate(titles)),
                html.Th("", **{"aria-label": user.t("Remove")}),
            ]
        )
    )
    rows = [_row(app, user, one) for one in shown.instruments[:_MAX_SHOWN]]
    table = scrollable(html.Table([head, html.Tbody(rows)], className="kw-table"))
    rest = len(shown.instruments) - _MAX_SHOWN
    more = [] if rest <= 0 else [dmc.Text(user.t("and {n} more", n=user.number(rest)), size="sm", c="dimmed")]
    return dmc.Stack([table, *more])


def _row(app: DashboardApp, user: UserContext, watched: WatchedInstrument) -> Any:
    market = market_named(watched.market)
    facts, quote = instrument_facts(app, market, watched.key), _quote(app, watched)
    currency = "" if facts is None else facts.currency or ""
    change = None if quote is None else quote.change
    tone = "" if not change else "kw-good" if change > 0 else "kw-bad"
    words = user.t("The last {n} closes", n=len(quote.closes)) if quote else ""
    picture = sparkline(quote.closes, user.theme.color(0), words) if quote else None
    return html.Tr(
        [
            html.Td(dcc.Link(watched.key, href=instrument_path(*watched), className="kw-link")),
            html.Td(facts.name if facts is not None else market_word(user, market)),
            html.Td(f"{user.price(quote.closes[-1])} {currency}".rstrip() if quote else "–", className="kw-r"),
            html.Td(
                "–" if change is None else user.signed_percent(change),
                className=f"kw-r {tone}",
            ),
            html.Td(picture),
            html.Td(ChartTimes.of(user, market).shown(quote.last_us) if quote else "–", className="kw-r kw-muted"),
            html.Td(_prediction_words(app, user, watched)),
            html.Td(
                dmc.ActionIcon(
                    "×",
                    id={"kind": "watch-remove", "market": watched.market, "key": watched.key},
                    variant="subtle",
                    color="gray",
                    **{"aria-label": user.t("Remove {name}", name=watched.key)},
                )
            ),
        ]
    )


def _quote(app: DashboardApp, watched: WatchedInstrument) -> _Quote | None:
    """Return what an instrument costs, of a share as it is today; None where it has no rows."""
    market = market_named(watched.market)
    rows, column = app.services.markets[market.name], market.roles.get(Role.CLOSE)
    if column is None:
        return None

    def load() -> _Quote | None:
        try:
            panel = rows.latest_rows(watched.key, _ROWS, [column])
        except NotFoundError:
            return None
        if not len(panel):
            return None
        directory = directory_of(app, market)
        scale = 1.0 if directory is None else directory.split_factor(watched.key)
        return _Quote(tuple((panel.column(column) / scale).tolist()), int(panel.timestamps[-1]))

    return app.cache.get(("quote", watched), load, max_age_s=_QUOTES_S)


def _prediction_words(app: DashboardApp, user: UserContext, watched: WatchedInstrument) -> str:
    """Return the newest prediction of an instrument by a model of its market, in a few words."""
    live, labels = app.services.live, model_labels(app)
    if live is None:
        return "–"

    def load() -> Sequence[Prediction]:
        return live.predictions(coin_id=watched.key, limit=20)

    found = app.cache.get(("newest prediction", watched.key), load, max_age_s=_QUOTES_S)
    mine = next((one for one in found if labels.market(one.model_id) == watched.market), None)
    if mine is None:
        return "–"
    return f"{labels.name(mine.model_id)}: {user.percent(mine.probability)}"


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    if app.services.watchlists is not None:
        _register_lists(app, app.services.watchlists)
        _register_instruments(app, app.services.watchlists)


def _register_lists(app: DashboardApp, store: WatchlistStore) -> None:
    @app.callback(
        Output("go", "data", allow_duplicate=True), Input("watch-create", "n_clicks"), State("watch-name", "value")
    )
    def create(user: UserContext, _: int | None, name: str | None) -> Any:
        require_scope(user, "train")
        if not (name or "").strip():
            raise InvalidInputError("dashboard.watchlist_needs_name")
        return redirect_to(f"/dashboard/watchlists?watchlist={store.create(name or '').id}")

    @app.callback(
        Output("go", "data", allow_duplicate=True),
        Input(confirm_id("watch-delete"), "n_clicks"),
        State("watch-list", "data"),
    )
    def delete(user: UserContext, _: int | None, number: int) -> Any:
        require_scope(user, "admin")
        store.delete(number)
        notify(user.t("Deleted"))
        return redirect_to("/dashboard/watchlists")


def _register_instruments(app: DashboardApp, store: WatchlistStore) -> None:
    @app.callback(Output("watch-content", "children"), Input("watch-add", "value"), State("watch-list", "data"))
    def add(user: UserContext, chosen: str | None, number: int) -> Any:
        require_scope(user, "train")
        market, _, key = (chosen or "").partition(" ")
        return _content(app, user, store.add(number, [WatchedInstrument(market, key)]))

    @app.callback(
        Output("watch-content", "children", allow_duplicate=True),
        Input({"kind": "watch-remove", "market": ALL, "key": ALL}, "n_clicks"),
        State("watch-list", "data"),
    )
    def remove(user: UserContext, _: list[Any], number: int) -> Any:
        require_scope(user, "train")
        gone = ctx.triggered_id
        return _content(app, user, store.remove(number, [WatchedInstrument(gone["market"], gone["key"])]))


PAGE: Final = PageDefinition("/watchlists", N_("Watchlists"), layout, register_callbacks, icon="watchlists")
