"""One model: how good it is, beside what is naive, and what may be done with it."""

import json
from collections.abc import Callable
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import NotFoundError
from kurswerk.dashboard import _evaluations as shown
from kurswerk.dashboard._components import (
    alert,
    badge,
    card,
    fact,
    facts,
    figure,
    heading,
    later,
    link_button,
)
from kurswerk.dashboard._kit import Kit, Page
from kurswerk.dashboard._listings import MODEL_TYPE_WORDS, target_words
from kurswerk.dashboard._model_actions import actions, live_panel, naming, register_actions
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._verdicts import verdicts
from kurswerk.dashboard._view import View
from kurswerk.registry import ModelRecord, TestResult
from kurswerk.reports import figure_folds, figure_importance


def build(kit: Kit, view: View, query: dict[str, str], model_id: str) -> Any:
    """Return one model's page; ``test`` of the address chooses which test is shown, ``threshold`` where it decides."""
    record = kit.services.models.get(_number(view, model_id))
    tests = list(kit.services.results.tests_of(record.id, limit=50))
    chosen = next((test for test in tests if str(test.id) == query.get("test")), tests[0] if tests else None)
    return html.Div(
        [
            dcc.Store(id="model-id", data=record.id),
            heading(
                record.name,
                *actions(view, record),
                text=f"{_kind(view, record)} · {target_words(view, record)}",
            ),
            _summary(view, record),
            *_trouble(view, record),
            _tabs(kit, view, record, tests, chosen, query)
            if record.status == "READY"
            else _specification(view, record),
        ]
    )


def _kind(view: View, record: ModelRecord) -> str:
    return view.t(MODEL_TYPE_WORDS.get(record.model_type, record.model_type))


def _number(view: View, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFoundError(view.t("There is no model {name}.", name=text))
    return int(text)


def _summary(view: View, record: ModelRecord) -> Any:
    certificate = record.certificate
    return html.Div(
        facts(
            fact(view.t("Status"), badge(view, record.status)),
            fact(
                view.t("Trained on"),
                view.number((record.evaluation or {}).get("training_rows")),
                detail=f"{view.moment(record.train_start)} – {view.moment(record.train_end)}",
            ),
            fact(view.t("Trees"), view.number((record.evaluation or {}).get("trees"))),
            fact(view.t("Features"), view.number(len(record.features) or len(record.spec["features"]))),
            fact(
                view.t("Certificate"),
                view.t("none yet")
                if certificate is None
                else view.t("passed")
                if certificate.get("certified")
                else view.t("refused"),
            ),
            fact(
                view.t("Live"),
                view.t("active") if record.is_active else view.t("off"),
                detail=view.t("alerts from {share}", share=view.threshold(record.alert_threshold)),
            ),
        ),
        style={"marginBottom": 16},
    )


def _trouble(view: View, record: ModelRecord) -> list[Any]:
    if record.status == "FAILED":
        again = link_button(view.t("Change and train again"), f"/dashboard/new?clone={record.id}")
        return [
            alert(
                dmc.Stack(
                    [dmc.Text(view.say(record.error_msg or "") or view.t("no details"), size="sm"), html.Div(again)]
                ),
                title=view.t("The training failed"),
                color="red",
            )
        ]
    if record.status == "TRAINING":
        text = dmc.Group(
            [
                dmc.Text(view.t("Its figures appear here when it is ready."), size="sm"),
                link_button(view.t("See the job"), "/dashboard/jobs"),
            ]
        )
        return [alert(text, title=view.t("This model is being trained"))]
    return []


def _tabs(
    kit: Kit, view: View, record: ModelRecord, tests: list[TestResult], chosen: TestResult | None, query: dict[str, str]
) -> Any:
    tabs: dict[str, tuple[str, Callable[[], Any]]] = {
        "quality": (view.t("How good is it?"), lambda: _quality(view, record, tests, chosen, query)),
        "inside": (view.t("What does it look at?"), lambda: _inside(view, record)),
        "tests": (view.t("Tests ({n})", n=len(tests)), lambda: _tests(view, record, tests)),
        "live": (view.t("Live"), lambda: live_panel(kit, view, record)),
        "specification": (view.t("Specification"), lambda: _specification(view, record)),
    }
    value = query.get("tab", "quality") if query.get("tab") in tabs else "quality"
    return dmc.Tabs(
        [
            dmc.TabsList([dmc.TabsTab(title, value=name) for name, (title, _) in tabs.items()], mb="md"),
            *(dmc.TabsPanel(content(), value=name) for name, (_, content) in tabs.items()),
        ],
        id="model-tabs",
        value=value,
        keepMounted=False,
    )


def _quality(
    view: View, record: ModelRecord, tests: list[TestResult], chosen: TestResult | None, query: dict[str, str]
) -> Any:
    choices = [{"value": "", "label": view.t("Out of fold, within the training period")}] + [
        {
            "value": str(test.id),
            "label": view.t(
                "Test {id}: {start} – {end}",
                id=test.id,
                start=view.moment(test.test_start),
                end=view.moment(test.test_end),
            ),
        }
        for test in tests
    ]
    return dmc.Stack(
        [
            dmc.Select(
                id="model-source",
                label=view.t("Judged on"),
                data=choices,
                value="" if chosen is None else str(chosen.id),
                allowDeselect=False,
                maw=520,
            ),
            html.Div(_judged(view, record, chosen, query.get("threshold")), id="model-quality"),
        ]
    )


def _evaluation(record: ModelRecord, test: TestResult | None) -> Any:
    return test.evaluation if test is not None else record.evaluation or {}


def _judged(view: View, record: ModelRecord, test: TestResult | None, threshold: str | None = None) -> Any:
    evaluation = _evaluation(record, test)
    return dmc.Stack(
        [
            verdicts(view, record, test),
            dmc.Grid(
                [
                    card(
                        view.t("Figures beside the naive"),
                        shown.metric_table(view, evaluation),
                        text=view.t(
                            "In brackets: where the true value lies with {share}, by coin and time.", share="95 %"
                        ),
                        span={"base": 12, "lg": 7},
                    ),
                    card(
                        view.t("If the threshold moves"),
                        shown.threshold_panel(view, evaluation, threshold),
                        text=view.t("From which probability does the model say yes?"),
                        span={"base": 12, "lg": 5},
                    ),
                ]
            ),
            later("model-curves", 1200),
        ]
    )


def _inside(view: View, record: ModelRecord) -> Any:
    importance = figure_importance(record.feature_importance, theme=view.theme)
    cards = [
        card(
            view.t("Features it leans on most"),
            figure(view, "model-importance", importance, label=view.t("Bars: share of importance of each feature")),
            span={"base": 12, "lg": 6},
        )
    ]
    if record.cv_scores:
        drawing = figure_folds({record.name: record.cv_scores}, theme=view.theme)
        cards.append(
            card(
                view.t("Fold by fold, over time"),
                figure(
                    view,
                    "model-folds",
                    drawing,
                    label=view.t("Lines: PR-AUC of each fold, on later and on its own rows"),
                ),
                text=view.t(
                    "Each fold is trained on earlier rows and judged on later ones. Lines far apart mean overfitting."
                ),
                span={"base": 12, "lg": 6},
            )
        )
    cards.append(card(view.t("Certificate"), shown.certificate_table(view, record.certificate), span=12))
    return dmc.Grid(cards)


def _tests(view: View, record: ModelRecord, tests: list[TestResult]) -> Any:
    if not tests:
        return alert(
            dmc.Group(
                [
                    dmc.Text(
                        view.t("It has not been tested on later data. Only such a test shows what it is worth."),
                        size="sm",
                    ),
                    link_button(view.t("Test it"), f"/dashboard/test?models={record.id}"),
                ]
            ),
            title=view.t("No test yet"),
        )
    return shown.test_table(view, tests)


def _specification(view: View, record: ModelRecord) -> Any:
    text = json.dumps(dict(record.spec), indent=2, ensure_ascii=False)
    rows = [
        (view.t("Artifact, SHA-256"), record.artifact_sha256),
        (view.t("Data, SHA-256"), record.dataset_fingerprint),
        (view.t("Made"), view.moment(record.created_at)),
        (view.t("Description"), record.description),
        (view.t("Libraries"), ", ".join(f"{name} {version}" for name, version in record.library_versions.items())),
    ]
    return dmc.Stack(
        [
            shown.pair_table([(name, value) for name, value in rows if value]),
            html.Pre(text, className="kw-code", tabIndex=0, **{"aria-label": view.t("Specification")}),
            naming(view, record),
        ]
    )


def register(kit: Kit) -> None:
    """Add the callbacks."""
    kit.in_browser(
        "(tab, test) => kurswerk.query({tab: tab === 'quality' ? null : tab, test})",
        Input("model-tabs", "value"),
        Input("model-source", "value"),
    )
    kit.in_browser(shown.MOVE_THRESHOLD, *shown.THRESHOLD_DEPENDENCIES, at_start=True)

    def found(source: str, model_id: int) -> tuple[ModelRecord, TestResult | None]:
        return kit.services.models.get(model_id), kit.services.results.test(int(source)) if source else None

    @kit.on(Output("model-quality", "children"), Input("model-source", "value"), State("model-id", "data"))
    def judge(view: View, source: str, model_id: int) -> Any:
        return _judged(view, *found(source, model_id))

    @kit.when_seen("model-curves", State("model-source", "value"), State("model-id", "data"))
    def draw(view: View, source: str, model_id: int) -> Any:
        record, test = found(source, model_id)
        return dmc.Grid(shown.curve_cards(view, {record.name: _evaluation(record, test)}))

    register_actions(kit)


PAGE: Final = Page("/models/{model_id}", N_("Model"), build, register, menu=False, charts=True)
