"""The Dash application: the frame around the pages, and the way to each."""

import base64
import hashlib
import logging
import re
from pathlib import Path
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html
from fastapi import FastAPI

from kurswerk.core.errors import KurswerkError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import NOTIFICATIONS
from kurswerk.dashboard.callbacks.pages import PageDefinition, query_parameters
from kurswerk.dashboard.callbacks.path_prefix import with_path_prefix
from kurswerk.dashboard.pages import PAGES
from kurswerk.dashboard.ports import DashboardOptions, DashboardServices
from kurswerk.dashboard.shell.middleware import PREFIX
from kurswerk.dashboard.widgets.components import callout, empty_state, icon, link_button
from kurswerk.dashboard.words.catalogue import LANGUAGES
from kurswerk.dashboard.words.user_context import ADDRESS, CURRENT, UserContext

_log = logging.getLogger(__name__)
_FOLDER: Final = Path(__file__).parent
_THEME: Final = {
    "primaryColor": "blue",
    "defaultRadius": "md",
    "fontFamily": 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
    "headings": {"fontWeight": "650"},
    "autoContrast": True,
    "luminanceThreshold": 0.35,
}
_INLINE: Final = re.compile(r'<script(?: id="_dash-renderer" type="application/javascript")?>(.*?)</script>', re.DOTALL)
_INDEX: Final = """<!DOCTYPE html>
<html lang="%(lang)s" data-mantine-color-scheme="%(scheme)s" data-ag-theme-mode="%(scheme)s">
<head>{%%metas%%}
<title>{%%title%%}</title>{%%favicon%%}{%%css%%}{%%early%%}</head>
<body>{%%app_entry%%}<footer>{%%config%%}{%%scripts%%}{%%renderer%%}</footer></body></html>"""


# Tables of a kind that no page has.
_NOT_NEEDED: Final = re.compile(r'<script src="[^"]*/dash_table/[^"]*"></script>\n?')
_SUITES: Final = f"{PREFIX}/_dash-component-suites"
# What Dash asks for before it shows anything.
_FIRST_REQUESTS: Final = ("_dash-layout", "_dash-dependencies")
# What pages with tables and with charts will ask for once their content has come.
_TABLES: Final = (f"{_SUITES}/dash_ag_grid/async-community.js",)
_CHARTS: Final = (f"{_SUITES}/dash/dcc/async-graph.js", f"{_SUITES}/plotly/package_data/plotly.min.js")


class _LocalisedDash(Dash):  # type: ignore[misc]  # Dash carries no types
    """Dash with a page in the user's language and colours."""

    policy = "default-src 'self'"
    path_prefix = ""

    def interpolate_index(self, **parts: Any) -> str:
        user = CURRENT.get()
        page = _INDEX % {"lang": user.language, "scheme": "dark" if user.dark else "light"}
        parts["app_entry"] = (
            f'<div id="react-entry-point"><div class="kw-startup" role="status">{user.t("Loading…")}</div></div>'
        )
        path, _ = _requested_address()
        found = find_page(path.removeprefix(self.path_prefix))
        parts["favicon"] = f'<link rel="icon" type="image/svg+xml" href="{self.path_prefix}{PREFIX}/assets/icon.svg">'
        parts["title"] = _title(user, found and found[0])
        parts["scripts"] = _NOT_NEEDED.sub("", parts["scripts"])
        hints = _preload_hints(user, found and found[0])
        parts["early"] = hints.replace(f'"{PREFIX}/', f'"{self.path_prefix}{PREFIX}/')
        for name, part in parts.items():
            page = page.replace(f"{{%{name}%}}", part)
        self.policy = _policy(page)
        return page


def _requested_address() -> tuple[str, str]:
    """Return path and query, each as the browser has them, of the page that is being opened."""
    path, mark, query = ADDRESS.get().partition("?")
    return path, mark + query


def _title(user: UserContext, page: PageDefinition | None) -> str:
    return f"{user.t(page.title)} · Kurswerk" if page is not None else "Kurswerk"


def _preload_hints(user: UserContext, page: PageDefinition | None) -> str:
    """Return hints that let the browser fetch what a page needs beside its scripts, not after them.

    A page that is still empty needs neither tables nor charts, so these are no more than likely to be needed.
    """
    if page is None:
        return ""
    wanted = (_TABLES if page.tables else ()) + (_CHARTS if page.charts else ())
    asked = "".join(
        f'<link rel="preload" as="fetch" crossorigin href="{PREFIX}/{one}">' for one in _FIRST_REQUESTS if user.known
    )
    return asked + "".join(f'<link rel="prefetch" as="script" href="{one}">' for one in wanted)


def _policy(page: str) -> str:
    """Return what the browser may load for a page: from here alone, and of inline scripts only its own."""
    inline = re.findall(
        r"<script(?: id=\"_dash-renderer\" type=\"application/javascript\")?>(.*?)</script>", page, re.DOTALL
    )
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in inline)
    return (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def create_app(server: FastAPI, services: DashboardServices, options: DashboardOptions) -> Any:
    """Add the application's routes to a server and return the application."""
    dash_app = _LocalisedDash(
        "kurswerk.dashboard",
        server=server,
        routes_pathname_prefix=f"{PREFIX}/",
        requests_pathname_prefix=f"{options.path_prefix}{PREFIX}/",
        assets_folder=str(_FOLDER / "assets"),
        title="Kurswerk",
        update_title="",
        suppress_callback_exceptions=True,
        add_log_handler=False,
        use_pages=False,
        websocket_max_workers=8,
    )
    dash_app.path_prefix = options.path_prefix
    app = DashboardApp(dash_app, services, options)
    dash_app.layout = _layout(app)
    _register_callbacks(app)
    for page in PAGES:
        page.register_callbacks(app)
    return dash_app


def find_page(path: str | None) -> tuple[PageDefinition, dict[str, str]] | None:
    """Return the page at an address with the parts of its path."""
    inner = (path or "").removeprefix(PREFIX) or "/"
    for page in PAGES:
        parts = page.match(inner)
        if parts is not None:
            return page, dict(parts)
    return None


def _layout(app: DashboardApp) -> Any:
    def layout() -> Any:
        user = CURRENT.get()
        path, search = _requested_address()
        content, title = _content(app, user, path, search) if path else (None, "Kurswerk")
        shell = dmc.MantineProvider(
            [
                dcc.Location(id="url", refresh=False),
                dcc.Store(id="built", data=path + search),
                dcc.Store(id="wanted"),
                dcc.Store(id="title", data=title),
                dcc.Store(id="live-filter"),
                dcc.Store(id="go"),
                dmc.NotificationContainer(id=NOTIFICATIONS, position="bottom-right"),
                html.A(user.t("Skip to the content"), href="#page", className="kw-skip"),
                _frame(app, user, content),
                html.Div(
                    [
                        user.t("No answer. See whether Kurswerk and the network are there."),
                        " ",
                        html.A(user.t("Load again"), href=""),
                    ],
                    id="no-answer",
                    className="kw-no-answer",
                    role="alert",
                    hidden=True,
                ),
            ],
            forceColorScheme="dark" if user.dark else "light",
            theme=_THEME,
        )
        return with_path_prefix(shell, app.options.path_prefix) if app.options.path_prefix else shell

    return layout


def _frame(app: DashboardApp, user: UserContext, content: Any) -> Any:
    return dmc.AppShell(
        [
            dmc.AppShellHeader(_header(app, user), px="md"),
            dmc.AppShellNavbar(_menu(user), id="menu", p="xs"),
            dmc.AppShellMain(html.Div(content, id="page", className="kw-page", tabIndex=-1)),
        ],
        id="frame",
        header={"height": 56},
        navbar={"width": 210, "breakpoint": "sm", "collapsed": {"mobile": True}},
        padding="md",
    )


def _header(app: DashboardApp, user: UserContext) -> Any:
    signed_in = app.options.require_keys
    return dmc.Group(
        [
            dmc.Group(
                [
                    dmc.Burger(id="burger", opened=False, hiddenFrom="sm", size="sm", **{"aria-label": user.t("Menu")}),
                    dcc.Link(
                        [html.Span("Kurs", className="kw-brand-a"), "werk"],
                        href=PREFIX,
                        className="kw-brand",
                    ),
                ],
                gap="sm",
            ),
            dmc.Group(
                [
                    dmc.SegmentedControl(
                        id="language",
                        value=user.language,
                        data=[{"value": code, "label": code.upper()} for code in LANGUAGES],
                        size="xs",
                        **{"aria-label": user.t("Language")},
                    ),
                    dmc.ActionIcon(
                        icon("sun" if user.dark else "moon"),
                        id="scheme",
                        variant="default",
                        size="lg",
                        **{"aria-label": user.t("Light colours") if user.dark else user.t("Dark colours")},
                    ),
                    *([html.A(user.t("Sign out"), href=f"{PREFIX}/logout", className="kw-link")] if signed_in else []),
                ],
                gap="xs",
            ),
        ],
        justify="space-between",
        h="100%",
        wrap="nowrap",
    )


def _menu(user: UserContext) -> Any:
    links = [
        dmc.NavLink(
            label=user.t(page.title),
            leftSection=icon(page.icon),
            href=PREFIX + (page.path if page.path != "/" else ""),
            active="exact" if page.path == "/" else "partial",
        )
        for page in PAGES
        if page.menu
    ]
    more = [
        html.A(user.t("REST API"), href="/docs", className="kw-link"),
        html.A(user.t("Metrics"), href="/metrics", className="kw-link"),
    ]
    return html.Nav([*links, html.Div(more, className="kw-menu-foot")], **{"aria-label": user.t("Pages")})


def _register_callbacks(app: DashboardApp) -> None:
    # The first page comes with the layout; only where the server could not know its address is it asked for.
    app.clientside_callback(
        """(path, search, built) => {
            const first = !kurswerk.arrived;
            if (!path) return dash_clientside.no_update;
            kurswerk.arrived = true;
            if (first && built === path + (search || '')) return dash_clientside.no_update;
            kurswerk.showPageTitle(path);
            return {path, search};
        }""",
        Output("wanted", "data"),
        Input("url", "pathname"),
        State("url", "search"),
        State("built", "data"),
        initial_call=True,
    )

    @app.callback(Output("page", "children"), Output("title", "data"), Input("wanted", "data"))
    def show(user: UserContext, wanted: dict[str, str | None]) -> Any:
        return _content(app, user, wanted.get("path"), wanted.get("search"))

    app.clientside_callback(
        "(title) => { kurswerk.setPageLoading(false); if (title) { document.title = title; window.scrollTo(0, 0); } }",
        Input("title", "data"),
    )
    app.clientside_callback(
        """(opened, path, navbar) => {
            const left = dash_clientside.callback_context.triggered_id === 'url';
            const open = left ? false : opened;
            return [{...navbar, collapsed: {mobile: !open}}, open];
        }""",
        Output("frame", "navbar"),
        Output("burger", "opened"),
        Input("burger", "opened"),
        Input("url", "pathname"),
        State("frame", "navbar"),
    )
    app.clientside_callback("(there) => { if (there) kurswerk.go(there.to); }", Input("go", "data"))
    app.clientside_callback(
        "(language) => kurswerk.setPreference('kw_language', language)",
        Input("language", "value"),
    )
    app.clientside_callback(
        "(clicks) => { if (clicks) kurswerk.toggleScheme(); }",
        Input("scheme", "n_clicks"),
    )
    app.clientside_callback(
        """(open, keep, done) => {
            const from = dash_clientside.callback_context.triggered_id;
            if (!dash_clientside.callback_context.triggered[0].value) return dash_clientside.no_update;
            return from.kind === 'danger-open';
        }""",
        Output({"kind": "danger-modal", "what": dash.MATCH}, "opened"),
        Input({"kind": "danger-open", "what": dash.MATCH}, "n_clicks"),
        Input({"kind": "danger-close", "what": dash.MATCH}, "n_clicks"),
        Input({"kind": "danger-do", "what": dash.MATCH}, "n_clicks"),
    )


def _content(app: DashboardApp, user: UserContext, path: str | None, search: str | None) -> tuple[Any, str]:
    """Return what a page holds, and its title."""
    found = find_page((path or "").removeprefix(app.options.path_prefix))
    if found is None:
        return _not_found(user), "Kurswerk"
    page, parts = found
    try:
        content = page.layout(app, user, query_parameters(search), **parts)
    except KurswerkError as error:
        content = callout(user.message(error), title=user.t("That did not work"), color="red")
    except Exception:  # noqa: BLE001 - whatever it is, the user is shown that it failed, the log has the cause
        _log.exception("the page %s could not be built", path)
        content = callout(
            user.t("The cause is in the server's log. Try again."), title=user.t("Something went wrong"), color="red"
        )
    return content, _title(user, page)


def _not_found(user: UserContext) -> Any:
    return empty_state(
        user.t("There is no such page"),
        user.t("The address may be mistyped, or what it showed is gone."),
        link_button(user.t("To the overview"), PREFIX),
    )
