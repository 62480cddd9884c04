"""New model: a form for the whole specification, checked as one types."""

import json
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import KurswerkError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, redirect_to, require_scope
from kurswerk.dashboard.callbacks.model_lookup import model_names
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets import specification_document as form
from kurswerk.dashboard.widgets import specification_form as fields
from kurswerk.dashboard.widgets.base_rate import estimate_base_rate
from kurswerk.dashboard.widgets.components import callout, card, empty_state, link_button, loading_area, page_header
from kurswerk.dashboard.widgets.market_choice import availability, instruments, market_links, market_of_address
from kurswerk.dashboard.widgets.period_picker import (
    available_period,
    parse_period,
    period_fields,
    register_period_picker,
)
from kurswerk.dashboard.widgets.trade_costs import register_cost_fields
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import MarketSchema
from kurswerk.training import ModelSpec

_TRAINING_SHARE: Final = 2 / 3
# Of which a specification has one.
_HORIZONS: Final = ("future_minutes", "horizon_sessions")


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the form; ``clone`` (a model) or ``job`` of the address fills it."""
    given = _stored_specification(app, query)
    market = market_of_address(given | query)
    if not availability(app, market).rows:
        return html.Div(
            [
                page_header(user.t("New model")),
                market_links(app, user, market, "/dashboard/new"),
                empty_state(
                    user.t("There is nothing to learn from yet"),
                    user.t("A model needs market rows. Simulate a market on the overview, or import a file."),
                    link_button(user.t("To the overview"), "/dashboard", variant="filled"),
                    link_button(
                        user.t("Import a file"), f"/dashboard/data?open=ingest&market={market.name}", variant="default"
                    ),
                ),
            ]
        )
    given = _initial_values(app, market, given)
    period = _period(app, market, given)
    return html.Div(
        [
            page_header(
                user.t("New model"),
                text=user.t(
                    "Every field has a sensible default. Point at a name with a dotted line to read what it means."
                ),
            ),
            market_links(app, user, market, "/dashboard/new"),
            dmc.Grid(
                [
                    dmc.GridCol(_fields(app, user, market, given, period), span={"base": 12, "lg": 7}),
                    dmc.GridCol(_submit_panel(user), span={"base": 12, "lg": 5}),
                ]
            ),
            dcc.Store(id="spec-document"),
            dcc.Store(id="spec-market", data=market.name),
        ]
    )


def _stored_specification(app: DashboardApp, query: dict[str, str]) -> dict[str, Any]:
    """Return the specification of the model or job that the address names; empty if it names none."""
    if query.get("clone", "").isdigit():
        return dict(app.services.models.get(int(query["clone"])).spec)
    if query.get("job", "").isdigit():
        return dict(app.services.jobs.get(int(query["job"])).request)
    return {}


def _initial_values(app: DashboardApp, market: MarketSchema, found: dict[str, Any]) -> dict[str, Any]:
    columns = list(app.services.markets[market.name].columns())
    taken = set(model_names(app).values())
    name = form.available_name(str(found.get("name", "my-model")), taken)
    usual = form.defaults(market, columns)
    if any(found.get(horizon) for horizon in _HORIZONS):
        usual = {field: value for field, value in usual.items() if field not in _HORIZONS}
    return usual | found | {"name": name}


def _period(app: DashboardApp, market: MarketSchema, given: dict[str, Any]) -> Any:
    if given.get("train_start") and given.get("train_end"):
        spec_times = [str(given[name]).replace("Z", "+00:00") for name in ("train_start", "train_end")]
        return form.parse_times(*spec_times)
    return available_period(app, market, 0.0, _TRAINING_SHARE)


def _fields(app: DashboardApp, user: UserContext, market: MarketSchema, given: dict[str, Any], period: Any) -> Any:
    columns = list(app.services.markets[market.name].columns())
    return dmc.Stack(
        [
            card(user.t("Name and model type"), fields.naming(user, given)),
            card(user.t("Target and horizon"), fields.target(user, given, columns)),
            card(user.t("Features"), fields.features(user, given, market, columns)),
            card(
                user.t("Training data"),
                period_fields(app, user, market, "spec", period),
                fields.rows(user, given, market, instruments(app, market)),
            ),
            card(user.t("Simulated trades"), fields.costs(user, given)),
            fields.advanced(user, given),
        ]
    )


def _submit_panel(user: UserContext) -> Any:
    return html.Div(
        dmc.Stack(
            [
                card(
                    user.t("Check and start"),
                    html.Div(id="spec-problems", role="status"),
                    loading_area(html.Div(id="spec-estimate", role="status"), height=70),
                    dmc.Button(user.t("Train this model"), id="spec-order", disabled=True, fullWidth=True, size="md"),
                ),
                card(
                    user.t("As JSON and curl"),
                    dmc.Tabs(
                        [
                            dmc.TabsList([dmc.TabsTab("JSON", value="json"), dmc.TabsTab("curl", value="curl")]),
                            dmc.TabsPanel(
                                html.Pre(id="spec-json", className="kw-code", tabIndex=0), value="json", pt="xs"
                            ),
                            dmc.TabsPanel(
                                html.Pre(id="spec-curl", className="kw-code", tabIndex=0), value="curl", pt="xs"
                            ),
                        ],
                        value="json",
                    ),
                    dmc.CopyButton(
                        id="spec-copy",
                        children=user.t("Copy the JSON"),
                        copiedChildren=user.t("Copied"),
                        value="",
                        size="xs",
                        variant="light",
                    ),
                ),
            ]
        ),
        className="kw-sticky",
    )


def _types_of_params() -> list[list[str]]:
    """Return for each hyper-parameter of the form the model types that have it."""
    return [
        [kind for kind, fields in form.PARAMS_BY_TYPE.items() if name in {field.name for field in fields}]
        for name in form.PARAM_FIELDS
    ]


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    register_period_picker(app, "spec")
    register_cost_fields(app, "spec")
    app.clientside_callback(
        """(kind, type) => {
            const show = (yes) => (yes ? {} : {display: 'none'});
            return [show(kind === 'change'), show(kind === 'return'), show(kind !== 'level'), show(kind === 'level'),
                    ...__TYPES__.map((types) => show(types.includes(type)))];
        }""".replace("__TYPES__", json.dumps(_types_of_params())),
        Output("spec-if-change", "style"),
        Output("spec-if-return", "style"),
        Output("spec-if-horizon", "style"),
        Output("spec-if-level", "style"),
        *(Output(f"spec-if-{name}", "style") for name in form.PARAM_FIELDS),
        Input("spec-kind", "value"),
        Input("spec-model_type", "value"),
        initial_call=True,
    )

    @app.callback(
        Output("spec-problems", "children"),
        Output("spec-document", "data"),
        Output("spec-order", "disabled"),
        Output("spec-json", "children"),
        Output("spec-curl", "children"),
        Output("spec-copy", "value"),
        *(Output(f"spec-{name}", "error") for name in form.CHECKED),
        *(Input(f"spec-{name}", prop) for name, prop in form.FIELDS.items()),
        Input("spec-start", "value"),
        Input("spec-end", "value"),
        State("url", "href"),
        initial_call=True,
    )
    def check(user: UserContext, *values: Any) -> Any:
        *filled, start, end, page_url = values
        document = form.specification_from_fields(dict(zip(form.FIELDS, filled, strict=True)))
        problems: dict[str, str] = {}
        try:
            moments = parse_period(user, start, end)
            document |= {"train_start": moments[0].isoformat(), "train_end": moments[1].isoformat()}
            spec = ModelSpec.parse(document)
            if spec.name in model_names(app).values():
                problems["name"] = user.t("This name is taken; choose another.")
            app.services.job_service.check("TRAIN", spec)
        except KurswerkError as error:
            problems |= form.field_errors(error, user)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        general = [text for field, text in problems.items() if field not in form.CHECKED]
        return (
            _problems(user, problems, general),
            None if problems else document,
            bool(problems),
            text,
            form.curl_command(text, page_url, app.options.api_path, needs_key=app.options.require_keys),
            text,
            *(problems.get(name) for name in form.CHECKED),
        )

    _register_order(app)


def _register_order(app: DashboardApp) -> None:
    @app.callback(Output("spec-estimate", "children"), Input("spec-document", "data"))
    def estimate(user: UserContext, document: dict[str, Any] | None) -> Any:
        return _estimate(app, user, document) if document else ""

    @app.callback(
        Output("go", "data", allow_duplicate=True),
        Input("spec-order", "n_clicks"),
        State("spec-document", "data"),
        running=[(Output("spec-order", "loading"), True, False)],
    )
    def order(user: UserContext, _: int | None, document: dict[str, Any]) -> Any:
        require_scope(user, "train")
        job = app.services.job_service.order("TRAIN", ModelSpec.parse(document))
        app.cache.clear()
        notify(user.t("Job created"), user.t("Job {id} trains {name}.", id=job.id, name=document["name"]))
        return redirect_to("/dashboard/jobs")


def _problems(user: UserContext, problems: dict[str, str], general: list[str]) -> Any:
    if not problems:
        return callout(user.t("All fields are valid."), color="teal")
    lines = [dmc.Text(text, size="sm") for text in general] or [
        dmc.Text(user.t("See the fields marked red."), size="sm")
    ]
    return callout(dmc.Stack(lines, gap=4), title=user.t("Please correct"), color="orange")


def _estimate(app: DashboardApp, user: UserContext, document: dict[str, Any]) -> Any:
    found = estimate_base_rate(app, ModelSpec.parse(document))
    if found.share is None:
        text = user.t(
            "No row of this period has a known outcome: the horizon reaches past its end. Choose a longer period."
        )
        return callout(text, color="orange")
    lines = [
        dmc.Text(
            user.tn(
                "{share} positive in {n} row",
                "{share} positive in {n} rows",
                found.rows,
                share=user.percent(found.share),
            ),
            fw=650,
            size="lg",
        )
    ]
    if found.sampled_coins is not None:
        lines.append(
            dmc.Text(
                user.tn("Estimated from {n} coin.", "Estimated from {n} coins.", found.sampled_coins),
                size="xs",
                c="dimmed",
            )
        )
    if not 0.005 <= found.share <= 0.995:
        lines.append(
            dmc.Text(
                user.t("So lopsided that little can be learnt; choose another target."), size="sm", className="kw-bad"
            )
        )
    return dmc.Stack(lines, gap=2)


PAGE: Final = PageDefinition("/new", N_("New model"), layout, register_callbacks, icon="new", charts=True)
