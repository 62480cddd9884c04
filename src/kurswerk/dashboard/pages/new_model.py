"""New model: a form for the whole specification, checked as one types."""

import json
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import KurswerkError
from kurswerk.dashboard import _specification as form
from kurswerk.dashboard import _specification_fields as fields
from kurswerk.dashboard._components import alert, card, empty, heading, link_button, waiting
from kurswerk.dashboard._estimates import estimate
from kurswerk.dashboard._kit import Kit, Page, demand, notify, to
from kurswerk.dashboard._listings import model_names
from kurswerk.dashboard._periods import moments_of, period_fields, register_period, whole_period
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.training import ModelSpec, check_training, order_training

_TRAINING_SHARE: Final = 2 / 3


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the form; ``clone`` (a model) or ``job`` of the address fills it."""
    there = kit.memory.get("availability", kit.services.market.availability, seconds=5)
    if not there.rows:
        return html.Div(
            [
                heading(view.t("New model")),
                empty(
                    view.t("There is nothing to learn from yet"),
                    view.t("A model needs market rows. Simulate a market on the overview, or bring in a file."),
                    link_button(view.t("To the overview"), "/dashboard", variant="filled"),
                    link_button(view.t("Bring in a file"), "/dashboard/data?open=ingest", variant="default"),
                ),
            ]
        )
    given = _given(kit, query)
    period = _period(kit, given)
    return html.Div(
        [
            heading(
                view.t("New model"),
                text=view.t(
                    "Every field has a sensible default. Point at a name with a dotted line to read what it means."
                ),
            ),
            dmc.Grid(
                [
                    dmc.GridCol(_fields(kit, view, given, period), span={"base": 12, "lg": 7}),
                    dmc.GridCol(_order_box(view), span={"base": 12, "lg": 5}),
                ]
            ),
            dcc.Store(id="spec-document"),
        ]
    )


def _given(kit: Kit, query: dict[str, str]) -> dict[str, Any]:
    columns = list(kit.services.market.columns())
    taken = set(model_names(kit).values())
    if query.get("clone", "").isdigit():
        found = dict(kit.services.models.get(int(query["clone"])).spec)
    elif query.get("job", "").isdigit():
        found = dict(kit.services.jobs.get(int(query["job"])).request)
    else:
        return form.defaults(columns) | {"name": form.free_name("my-model", taken)}
    return form.defaults(columns) | found | {"name": form.free_name(str(found.get("name", "my-model")), taken)}


def _period(kit: Kit, given: dict[str, Any]) -> Any:
    if given.get("train_start") and given.get("train_end"):
        spec_times = [str(given[name]).replace("Z", "+00:00") for name in ("train_start", "train_end")]
        return form.parse_moments(*spec_times)
    return whole_period(kit, 0.0, _TRAINING_SHARE)


def _fields(kit: Kit, view: View, given: dict[str, Any], period: Any) -> Any:
    columns = list(kit.services.market.columns())
    coins = kit.memory.get("coins", lambda: list(kit.services.market.coins()), seconds=30)
    return dmc.Stack(
        [
            card(view.t("What is it called, and what learns?"), fields.naming(view, given)),
            card(view.t("What shall it foresee?"), fields.target(view, given, columns)),
            card(view.t("What does it look at?"), fields.features(view, given, columns)),
            card(
                view.t("From which rows does it learn?"),
                period_fields(kit, view, "spec", period),
                fields.rows(view, given, coins),
            ),
            fields.advanced(view, given),
        ]
    )


def _order_box(view: View) -> Any:
    return html.Div(
        dmc.Stack(
            [
                card(
                    view.t("Order"),
                    html.Div(id="spec-problems", role="status"),
                    waiting(html.Div(id="spec-estimate", role="status"), height=70),
                    dmc.Button(view.t("Train this model"), id="spec-order", disabled=True, fullWidth=True, size="md"),
                ),
                card(
                    view.t("The same without this form"),
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
                        children=view.t("Copy the JSON"),
                        copiedChildren=view.t("Copied"),
                        value="",
                        size="xs",
                        variant="light",
                    ),
                ),
            ]
        ),
        className="kw-sticky",
    )


def register(kit: Kit) -> None:
    """Add the callbacks."""
    register_period(kit, "spec")
    kit.in_browser(
        """(timed, type) => {
            const show = (yes) => (yes ? {} : {display: 'none'});
            return [show(timed === 'change'), show(timed !== 'change'),
                    show(type === 'random_forest'), show(type === 'xgboost')];
        }""",
        Output("spec-if-change", "style"),
        Output("spec-if-level", "style"),
        Output("spec-if-forest", "style"),
        Output("spec-if-boosting", "style"),
        Input("spec-kind", "value"),
        Input("spec-model_type", "value"),
        at_start=True,
    )

    @kit.on(
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
        at_start=True,
    )
    def check(view: View, *values: Any) -> Any:
        *filled, start, end = values
        document = form.document_of(dict(zip(form.FIELDS, filled, strict=True)))
        problems: dict[str, str] = {}
        try:
            moments = moments_of(view, start, end)
            document |= {"train_start": moments[0].isoformat(), "train_end": moments[1].isoformat()}
            spec = ModelSpec.parse(document)
            if spec.name in model_names(kit).values():
                problems["name"] = view.t("This name is taken; choose another.")
            check_training(spec, kit.services.desk)
        except KurswerkError as error:
            problems |= form.problems_of(error, view)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        general = [text for field, text in problems.items() if field not in form.CHECKED]
        return (
            _problems(view, problems, general),
            None if problems else document,
            bool(problems),
            text,
            form.curl(text, kit.options.api_path),
            text,
            *(problems.get(name) for name in form.CHECKED),
        )

    _register_order(kit)


def _register_order(kit: Kit) -> None:
    @kit.on(Output("spec-estimate", "children"), Input("spec-document", "data"))
    def weigh(view: View, document: dict[str, Any] | None) -> Any:
        return _estimate(kit, view, document) if document else ""

    @kit.on(
        Output("go", "data", allow_duplicate=True),
        Input("spec-order", "n_clicks"),
        State("spec-document", "data"),
        running=[(Output("spec-order", "loading"), True, False)],
    )
    def order(view: View, _: int | None, document: dict[str, Any]) -> Any:
        demand(view, "train")
        job = order_training(ModelSpec.parse(document), kit.services.desk)
        kit.memory.forget()
        notify(view.t("Ordered"), view.t("Job {id} trains {name}.", id=job.id, name=document["name"]))
        return to("/dashboard/jobs")


def _problems(view: View, problems: dict[str, str], general: list[str]) -> Any:
    if not problems:
        return alert(view.t("All fields are right."), color="teal")
    lines = [dmc.Text(text, size="sm") for text in general] or [
        dmc.Text(view.t("See the fields marked red."), size="sm")
    ]
    return alert(dmc.Stack(lines, gap=4), title=view.t("Not yet"), color="orange")


def _estimate(kit: Kit, view: View, document: dict[str, Any]) -> Any:
    found = estimate(kit, ModelSpec.parse(document))
    if found.share is None:
        text = view.t(
            "No row of this period has a known outcome: the horizon reaches past its end. Choose a longer period."
        )
        return alert(text, color="orange")
    lines = [
        dmc.Text(
            view.t("{share} positive in {rows} rows", share=view.percent(found.share), rows=view.number(found.rows)),
            fw=650,
            size="lg",
        )
    ]
    if found.sampled_coins is not None:
        lines.append(
            dmc.Text(view.t("Estimated from {n} coins.", n=view.number(found.sampled_coins)), size="xs", c="dimmed")
        )
    if not 0.005 <= found.share <= 0.995:
        lines.append(
            dmc.Text(
                view.t("So lopsided that little can be learnt; choose another target."), size="sm", className="kw-bad"
            )
        )
    return dmc.Stack(lines, gap=2)


PAGE: Final = Page("/new", N_("New model"), build, register, icon="new", charts=True)
