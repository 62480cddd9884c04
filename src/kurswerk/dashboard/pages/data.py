"""Market data: coins with their coverage, gaps and newest rows, import, and rejected rows."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import DataFileError, KurswerkError
from kurswerk.core.timestamps import to_datetime
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.pages import PageDefinition, instrument_path
from kurswerk.dashboard.ports import UploadedBars
from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import (
    callout,
    card,
    empty_state,
    link_button,
    loading_area,
    number_input,
    page_header,
    stat,
    stat_row,
)
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.widgets.instrument_facts import directory_of
from kurswerk.dashboard.widgets.market_choice import (
    availability,
    instruments_word,
    market_links,
    market_of_address,
)
from kurswerk.dashboard.widgets.period_picker import availability_chart
from kurswerk.dashboard.widgets.watchlist_choice import chosen_watchlist, on_list, watchlist_links
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import DEFAULT_MARKET, MarketSchema, market_named
from kurswerk.market.calendar import calendar_of, exchanges
from kurswerk.market.coverage import CoinCoverage, missing_sessions
from kurswerk.market.instruments import InstrumentFacts, InstrumentFilter

_MAX_REJECTED: Final = 500
_MAX_INSTRUMENTS: Final = 10_000
_MAX_UPLOAD_BYTES: Final = 256 << 20


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the page; ``open=ingest`` of the address opens the import, ``coin`` searches."""
    market = market_of_address(query)
    opened = query.get("open") == "ingest" or not availability(app, market).rows
    return html.Div(
        [
            page_header(user.t("Market data"), text=user.t("Instruments with their coverage, gaps and freshness.")),
            market_links(app, user, market, "/dashboard/data"),
            link_button(user.t("Check the quality"), f"/dashboard/data-quality?market={market.name}", size="xs"),
            dcc.Store(id="data-market", data=market.name),
            _import_forms(user, market, opened=opened),
            html.Div(_content(app, user, market, query), id="data-content"),
        ]
    )


def _import_forms(user: UserContext, market: MarketSchema, *, opened: bool) -> Any:
    simulate = dmc.Stack(
        [
            dmc.Text(
                user.t("A believable market that ends now; the same seed gives the same one."), size="sm", c="dimmed"
            ),
            dmc.SimpleGrid(
                [
                    number_input(user, id="simulate-coins", label=user.t("Coins"), value=60, min=1, max=2000),
                    number_input(user, id="simulate-hours", label=user.t("Hours"), value=24, min=1, max=240),
                    number_input(user, id="simulate-seed", label=user.t("Seed"), value=42, min=0),
                ],
                cols=3,
            ),
            html.Div(dmc.Button(user.t("Simulate a market"), id="simulate-go", variant="light")),
        ],
        gap="xs",
    )
    upload = dmc.Stack(
        [
            dmc.Text(
                user.t("CSV or Parquet with usual column names. Rows that break a validation rule are quarantined."),
                size="sm",
                c="dimmed",
            ),
            dcc.Upload(
                html.Span(user.t("Drop a file here, or choose one"), id="ingest-label"),
                id="ingest-file",
                max_size=_MAX_UPLOAD_BYTES,
                accept=".csv,.parquet,.gz",
                className="kw-upload",
            ),
            _bars_fields(user, market),
            loading_area(html.Div(id="ingest-done", role="status")),
        ],
        gap="xs",
    )
    ways = [card(user.t("Import a file"), upload)]
    if market.name == DEFAULT_MARKET:  # what is simulated are coins
        ways.insert(0, card(user.t("Simulate"), simulate))
    panel = dmc.SimpleGrid(ways, cols={"base": 1, "md": 2})
    return dmc.Accordion(
        dmc.AccordionItem([dmc.AccordionControl(user.t("Import data")), dmc.AccordionPanel(panel)], value="in"),
        value="in" if opened else None,
        variant="contained",
        mb="md",
    )


def _bars_fields(user: UserContext, market: MarketSchema) -> Any:
    """Return the fields of what a file does not state of its bars; markets without series need none of it."""
    fields = dmc.SimpleGrid(
        [
            dmc.TextInput(id="ingest-source", label=user.t("Source"), placeholder=user.t("as the file is called")),
            dmc.Select(
                id="ingest-exchange",
                label=user.t("Exchange"),
                value="XNYS",
                data=list(exchanges()),
                searchable=True,
                allowDeselect=False,
            ),
            dmc.DatesProvider(
                dmc.DateInput(
                    id="ingest-adjusted",
                    label=user.t("Split-adjusted as of"),
                    placeholder=user.t("prices as paid"),
                    valueFormat="DD.MM.YYYY" if user.language == "de" else "YYYY-MM-DD",
                    clearable=True,
                    clearButtonProps={"aria-label": user.t("Clear")},
                ),
                settings={"locale": user.language, "firstDayOfWeek": 1},
            ),
        ],
        cols={"base": 1, "xs": 3},
    )
    return html.Div(fields, style={} if market.series else {"display": "none"})


def _content(app: DashboardApp, user: UserContext, market: MarketSchema, query: dict[str, str]) -> Any:
    there = availability(app, market)
    if not there.rows or there.first_us is None or there.last_us is None:
        return empty_state(
            user.t("There are no market data yet"),
            user.t("Simulate a market to look around, or import a file with candles of your own."),
        )
    lag = (datetime.now(UTC) - to_datetime(there.last_us)).total_seconds()
    return dmc.Stack(
        [
            stat_row(
                stat(user.t("Rows"), user.number(there.rows)),
                stat(instruments_word(user, market), user.number(there.coins)),
                stat(user.t("Oldest row"), user.date_time_us(there.first_us)),
                stat(
                    user.t("Newest row"),
                    user.date_time_us(there.last_us),
                    detail=user.t("{time} ago", time=user.duration(lag)) if lag >= 0 else user.t("in the future"),
                ),
            ),
            card(
                user.t("Rows over time"),
                chart(
                    user,
                    "data-picture",
                    availability_chart(app, user, market),
                    label=user.t("Bars: market rows over time"),
                ),
            ),
            card(instruments_word(user, market), _instruments(app, user, market, query)),
            card(
                user.t("Rejected rows"),
                _rejected(app, user),
                text=user.t("Rows that break a validation rule are not stored; each is listed with the reason."),
            ),
        ]
    )


def _instruments(app: DashboardApp, user: UserContext, market: MarketSchema, query: dict[str, str]) -> Any:
    found = app.cache.get(("coverage", market.name), lambda: app.services.coverage(market), max_age_s=30, stale_s=120)
    name = instruments_word(user, market)
    times, of_coins = "day" if market.interval == "1d" else "moment", market.name == DEFAULT_MARKET
    facts, chosen = _facts(app, market), chosen_watchlist(app, query)
    watched = on_list(chosen)
    if watched is not None:
        found = [one for one in found if (market.name, one.mint) in watched]
    rows = [
        {
            "coin": one.mint,
            "href": instrument_path(market.name, one.mint),
            "name": facts[one.mint].name if one.mint in facts else None,
            "sector": facts[one.mint].sector if one.mint in facts else None,
            "rows": one.rows,
            "first": one.first.isoformat(),
            "last": one.last.isoformat(),
            "gaps": _gaps(market, one, facts.get(one.mint)),
            "phase": one.phase,
        }
        for one in found
    ]
    search = dmc.TextInput(
        id="data-search",
        value=query.get("coin", ""),
        placeholder=user.t("Search …"),
        maw=360,
        **{"aria-label": user.t("Search")},
    )
    named = bool(facts)
    gaps = (
        user.t("Sessions of the exchange without a row")
        if market.interval == "1d"
        else user.t("Places where three intervals or more passed without a row")
    )
    columns = [
        grid_column("coin", user.t("Coin") if of_coins else user.t("Instrument"), "link", minWidth=230),
        *([grid_column("name", user.t("Name"), minWidth=160, flex=2)] if named else []),
        *([grid_column("sector", user.t("Sector"), minWidth=130)] if named else []),
        grid_column("rows", user.t("Rows"), "number"),
        grid_column("first", user.t("Oldest row"), times),
        grid_column("last", user.t("Newest row"), times),
        grid_column("gaps", user.t("Gaps"), "number", headerTooltip=gaps),
        *([grid_column("phase", user.t("Phase"), "number")] if market.segment else []),
    ]
    links = watchlist_links(app, user, f"/dashboard/data?market={market.name}", chosen, market.name)
    table = data_grid(user, "data-coins", columns, rows, label=name)
    return dmc.Stack([*([] if links is None else [links]), search, table])


def _facts(app: DashboardApp, market: MarketSchema) -> dict[str, InstrumentFacts]:
    """Return symbol → who it is, of the instruments that the market keeps beside its rows."""
    directory = directory_of(app, market)
    if directory is None:
        return {}
    found, _ = app.cache.get(
        ("facts", market.table), lambda: directory.find(InstrumentFilter(), _MAX_INSTRUMENTS), max_age_s=30
    )
    return {one.facts.symbol: one.facts for one in found}


def _gaps(market: MarketSchema, one: CoinCoverage, facts: InstrumentFacts | None) -> int | None:
    """Return where rows are missing; of daily bars the exchange's sessions decide, if it is known."""
    if market.interval != "1d":
        return one.gaps
    if facts is None or facts.exchange is None:
        return None
    try:
        return missing_sessions(calendar_of(facts.exchange), one.first.date(), one.last.date(), one.rows)
    except KurswerkError:  # an exchange that no calendar knows, or days beyond the calendar
        return None


def _rejected(app: DashboardApp, user: UserContext) -> Any:
    found = app.services.ingestion.quarantined(_MAX_REJECTED)
    if not found:
        return callout(user.t("No row was rejected."), color="teal")
    rows = [
        {"file": one.file, "row": one.row, "reason": user.message(one.detail or one.reason), "values": one.values}
        for one in found
    ]
    columns = [
        grid_column("file", user.t("File"), minWidth=140),
        grid_column("row", user.t("Row"), "number", maxWidth=110),
        grid_column("reason", user.t("Reason"), minWidth=240, flex=2, tooltipField="reason"),
        grid_column("values", user.t("Values"), minWidth=260, flex=3, tooltipField="values"),
    ]
    return data_grid(
        user, "data-rejected", columns, rows, label=user.t("Rejected rows"), options={"paginationPageSize": 10}
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    app.clientside_callback(
        "(text) => kurswerk.label('#ingest-file input', text)", Input("ingest-label", "children"), initial_call=True
    )
    app.clientside_callback(
        """(coin) => {
            kurswerk.query({coin});
            const text = (coin || '').trim();
            kurswerk.filterTable('data-coins', (row) => kurswerk.containsWords(row, text));
        }""",
        Input("data-search", "value"),
        initial_call=True,
    )

    @app.callback(
        Output("data-content", "children"),
        Input("simulate-go", "n_clicks"),
        State("simulate-coins", "value"),
        State("simulate-hours", "value"),
        State("simulate-seed", "value"),
        running=[(Output("simulate-go", "loading"), True, False)],
    )
    def simulate(user: UserContext, _: int | None, coins: int, hours: float, seed: int) -> Any:
        require_scope(user, "train")
        rows = app.services.ingestion.simulate(int(coins or 1), float(hours or 1), int(seed or 0), lambda *_: None)
        app.cache.clear()
        notify(user.t("Market data stored"), user.tn("{n} row is stored.", "{n} rows are stored.", rows))
        return _content(app, user, market_named(), {})

    @app.callback(
        Output("data-content", "children", allow_duplicate=True),
        Output("ingest-done", "children"),
        Input("ingest-file", "contents"),
        State("ingest-file", "filename"),
        State("data-market", "data"),
        State("ingest-source", "value"),
        State("ingest-exchange", "value"),
        State("ingest-adjusted", "value"),
    )
    def ingest(
        user: UserContext,
        contents: str | None,
        name: str | None,
        chosen: str,
        source: str | None,
        exchange: str | None,
        adjusted: str | None,
    ) -> Any:
        require_scope(user, "train")
        try:
            content = base64.b64decode((contents or "").partition(",")[2], validate=True)
        except binascii.Error as error:
            raise DataFileError("dashboard.file_incomplete") from error
        market = market_named(chosen)
        basis = f"split-adjusted:{adjusted[:10]}" if adjusted else "raw"
        bars = UploadedBars((source or "").strip(), basis, exchange or "XNYS") if market.series else None
        summary = app.services.ingestion.ingest(name or "upload.csv", content, market, bars)
        app.cache.clear()
        return _content(app, user, market, {}), callout(user.message(summary), title=user.t("Imported"), color="teal")


PAGE: Final = PageDefinition(
    "/data", N_("Market data"), layout, register_callbacks, icon="data", tables=True, charts=True
)
