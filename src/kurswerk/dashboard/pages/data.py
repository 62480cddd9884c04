"""Data: which coins there are, how complete and how fresh, and what was refused."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import DataFileError
from kurswerk.core.timestamps import to_datetime
from kurswerk.dashboard._components import (
    alert,
    card,
    column,
    empty,
    fact,
    facts,
    figure,
    grid,
    heading,
    number_field,
    waiting,
)
from kurswerk.dashboard._kit import Kit, Page, demand, notify
from kurswerk.dashboard._periods import availability_figure
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View

_MOST_REFUSED: Final = 500
_MOST_UPLOAD_BYTES: Final = 256 << 20


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return what there is; ``open=ingest`` of the address shows the way in, ``coin`` searches."""
    there = kit.memory.get("availability", kit.services.market.availability, seconds=5)
    opened = query.get("open") == "ingest" or not there.rows
    return html.Div(
        [
            heading(view.t("Data"), text=view.t("Coins with their coverage, gaps and freshness.")),
            _way_in(view, opened=opened),
            html.Div(_content(kit, view, query), id="data-content"),
        ]
    )


def _way_in(view: View, *, opened: bool) -> Any:
    simulate = dmc.Stack(
        [
            dmc.Text(
                view.t("A believable market that ends now; the same seed gives the same one."), size="sm", c="dimmed"
            ),
            dmc.SimpleGrid(
                [
                    number_field(view, id="simulate-coins", label=view.t("Coins"), value=60, min=1, max=2000),
                    number_field(view, id="simulate-hours", label=view.t("Hours"), value=24, min=1, max=240),
                    number_field(view, id="simulate-seed", label=view.t("Seed"), value=42, min=0),
                ],
                cols=3,
            ),
            html.Div(dmc.Button(view.t("Simulate a market"), id="simulate-go", variant="light")),
        ],
        gap="xs",
    )
    upload = dmc.Stack(
        [
            dmc.Text(
                view.t("CSV or Parquet; usual names of columns are recognised. Rows that break a law are set aside."),
                size="sm",
                c="dimmed",
            ),
            dcc.Upload(
                html.Span(view.t("Drop a file here, or choose one"), id="ingest-label"),
                id="ingest-file",
                max_size=_MOST_UPLOAD_BYTES,
                accept=".csv,.parquet,.gz",
                className="kw-upload",
            ),
            waiting(html.Div(id="ingest-done", role="status")),
        ],
        gap="xs",
    )
    panel = dmc.SimpleGrid(
        [card(view.t("Simulate"), simulate), card(view.t("Bring in a file"), upload)], cols={"base": 1, "md": 2}
    )
    return dmc.Accordion(
        dmc.AccordionItem([dmc.AccordionControl(view.t("Bring in data")), dmc.AccordionPanel(panel)], value="in"),
        value="in" if opened else None,
        variant="contained",
        mb="md",
    )


def _content(kit: Kit, view: View, query: dict[str, str]) -> Any:
    there = kit.memory.get("availability", kit.services.market.availability, seconds=5)
    if not there.rows or there.first_us is None or there.last_us is None:
        return empty(
            view.t("There are no market data yet"),
            view.t("Simulate a market to look around, or bring in a file with candles of your own."),
        )
    lag = (datetime.now(UTC) - to_datetime(there.last_us)).total_seconds()
    return dmc.Stack(
        [
            facts(
                fact(view.t("Rows"), view.number(there.rows)),
                fact(view.t("Coins"), view.number(there.coins)),
                fact(view.t("Oldest row"), view.moment_us(there.first_us)),
                fact(
                    view.t("Newest row"),
                    view.moment_us(there.last_us),
                    detail=view.t("{time} ago", time=view.duration(lag)) if lag >= 0 else view.t("in the future"),
                ),
            ),
            card(
                view.t("Rows over time"),
                figure(
                    view, "data-picture", availability_figure(kit, view), label=view.t("Bars: market rows over time")
                ),
            ),
            card(view.t("Coins"), _coins(kit, view, query)),
            card(
                view.t("Refused rows"),
                _refused(kit, view),
                text=view.t("Rows that break a law of the market stay out, with the reason."),
            ),
        ]
    )


def _coins(kit: Kit, view: View, query: dict[str, str]) -> Any:
    found = kit.memory.get("coverage", kit.services.coverage, seconds=30, while_asking=120)
    rows = [
        {
            "coin": one.mint,
            "href": f"/dashboard/data/{one.mint}",
            "rows": one.rows,
            "first": one.first.isoformat(),
            "last": one.last.isoformat(),
            "gaps": one.gaps,
            "phase": one.phase,
        }
        for one in found
    ]
    search = dmc.TextInput(
        id="data-search",
        value=query.get("coin", ""),
        placeholder=view.t("Search a coin …"),
        maw=360,
        **{"aria-label": view.t("Search")},
    )
    columns = [
        column("coin", view.t("Coin"), "link", minWidth=230),
        column("rows", view.t("Rows"), "number"),
        column("first", view.t("Oldest row"), "moment"),
        column("last", view.t("Newest row"), "moment"),
        column(
            "gaps",
            view.t("Gaps"),
            "number",
            headerTooltip=view.t("Places where three intervals or more passed without a row"),
        ),
        column("phase", view.t("Phase"), "number"),
    ]
    return dmc.Stack([search, grid(view, "data-coins", columns, rows, label=view.t("Coins"))])


def _refused(kit: Kit, view: View) -> Any:
    found = kit.services.provision.quarantined(_MOST_REFUSED)
    if not found:
        return alert(view.t("No row was refused."), color="teal")
    rows = [{"file": one.file, "row": one.row, "reason": view.say(one.reason), "values": one.values} for one in found]
    columns = [
        column("file", view.t("File"), minWidth=140),
        column("row", view.t("Row"), "number", maxWidth=110),
        column("reason", view.t("Reason"), minWidth=240, flex=2, tooltipField="reason"),
        column("values", view.t("What it held"), minWidth=260, flex=3, tooltipField="values"),
    ]
    return grid(view, "data-refused", columns, rows, label=view.t("Refused rows"), options={"paginationPageSize": 10})


def register(kit: Kit) -> None:
    """Add the callbacks."""
    kit.in_browser(
        "(text) => kurswerk.label('#ingest-file input', text)", Input("ingest-label", "children"), at_start=True
    )
    kit.in_browser(
        """(coin) => {
            kurswerk.query({coin});
            const text = (coin || '').trim();
            kurswerk.sift('data-coins', (row) => kurswerk.holds(row, text));
        }""",
        Input("data-search", "value"),
        at_start=True,
    )

    @kit.on(
        Output("data-content", "children"),
        Input("simulate-go", "n_clicks"),
        State("simulate-coins", "value"),
        State("simulate-hours", "value"),
        State("simulate-seed", "value"),
        running=[(Output("simulate-go", "loading"), True, False)],
    )
    def simulate(view: View, _: int | None, coins: int, hours: float, seed: int) -> Any:
        demand(view, "train")
        rows = kit.services.provision.simulate(int(coins or 1), float(hours or 1), int(seed or 0), lambda *_: None)
        kit.memory.forget()
        notify(view.t("The market is filled"), view.t("{rows} rows are stored.", rows=view.number(rows)))
        return _content(kit, view, {})

    @kit.on(
        Output("data-content", "children", allow_duplicate=True),
        Output("ingest-done", "children"),
        Input("ingest-file", "contents"),
        State("ingest-file", "filename"),
    )
    def ingest(view: View, contents: str | None, name: str | None) -> Any:
        demand(view, "train")
        try:
            content = base64.b64decode((contents or "").partition(",")[2], validate=True)
        except binascii.Error as error:
            raise DataFileError(view.t("The file did not arrive whole; send it again.")) from error
        said = kit.services.provision.ingest(name or "upload.csv", content)
        kit.memory.forget()
        return _content(kit, view, {}), alert(view.say(said), title=view.t("Brought in"), color="teal")


PAGE: Final = Page("/data", N_("Data"), build, register, icon="data", tables=True, charts=True)
