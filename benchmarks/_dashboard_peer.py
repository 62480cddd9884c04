"""The smallest pages of the libraries that the dashboard is made of: one heading, and one table or chart."""

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, dcc
from fastapi import FastAPI

from benchmarks._browser import Wanted

PEERS = {
    "text": Wanted("/text/", ("h1",)),
    "table": Wanted("/table/", ("h1", ".ag-row")),
    "chart": Wanted("/chart/", ("h1",), 1),
}


def peer_app() -> FastAPI:
    """Build a server of the three pages, as the libraries serve them."""
    server = FastAPI()
    rows = [{"name": f"row {k}", "value": k / 7} for k in range(25)]
    content = {
        "text": dmc.Text("One line of text."),
        "table": dag.AgGrid(
            rowData=rows,
            columnDefs=[{"field": "name"}, {"field": "value"}],
            dashGridOptions={"domLayout": "autoHeight"},
        ),
        "chart": dcc.Graph(
            figure={"data": [{"x": [row["name"] for row in rows], "y": [row["value"] for row in rows]}]}
        ),
    }
    for name, one in content.items():
        app = Dash(f"peer_{name}", server=server, url_base_pathname=PEERS[name].path, add_log_handler=False)
        app.layout = dmc.MantineProvider([dmc.Title("Peer", order=1), one])
    return server
