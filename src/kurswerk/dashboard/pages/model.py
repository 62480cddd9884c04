"""One model: its evaluation against baselines, its importances, tests, live state and specification."""

import json
from collections.abc import Callable
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.errors import NotFoundError
from kurswerk.core.messages import Message
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets import evaluation as shown
from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import (
    callout,
    card,
    lazy_area,
    link_button,
    page_header,
    stat,
    stat_row,
    status_badge,
)
from kurswerk.dashboard.widgets.model_actions import actions, live_panel, naming, register_actions
from kurswerk.dashboard.widgets.model_findings import model_findings
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import MODEL_TYPE_WORDS, target_description
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.models import FAMILIES
from kurswerk.registry import ModelRecord, TestResult
from kurswerk.reports import figure_folds, figure_importance


def layout(app: DashboardApp, user: UserContext, query: dict[str, str], model_id: str) -> Any:
    """Return one model's page; ``test`` of the address chooses which test is shown, ``threshold`` where it decides."""
    record = app.services.models.get(_parse_id(model_id))
    tests = list(app.services.results.tests_of(record.id, limit=50))
    chosen = next((test for test in tests if str(test.id) == query.get("test")), tests[0] if tests else None)
    return html.Div(
        [
            dcc.Store(id="model-id", data=record.id),
            page_header(
                record.name,
                *actions(user, record),
                text=f"{_model_type(user, record)} · {target_description(user, record)}",
            ),
            _summary(user, record),
            *_status_notice(user, record),
            *_missing_inputs(app, user, record),
            _tabs(app, user, record, tests, chosen, query)
            if record.status == "READY"
            else html.Div([*([shown.test_table(user, tests)] if tests else []), _specification(user, record)]),
        ]
    )


def _model_type(user: UserContext, record: ModelRecord) -> str:
    return user.t(MODEL_TYPE_WORDS.get(record.model_type, record.model_type))


def _parse_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFoundError("model.not_found", id=text)
    return int(text)


def _family_facts(user: UserContext, record: ModelRecord) -> list[Any]:
    """Return what the model's family states of a fitted model, such as how many trees it has."""
    family = FAMILIES.get(record.model_type)
    titles = family.facts if family else {}
    evaluation = record.evaluation or {}
    return [stat(user.t(title), user.number(evaluation.get(name))) for name, title in titles.items()]


def _summary(user: UserContext, record: ModelRecord) -> Any:
    certificate = record.certificate
    return html.Div(
        stat_row(
            stat(user.t("Status"), status_badge(user, record.status)),
            stat(
                user.t("Trained on"),
                user.number((record.evaluation or {}).get("training_rows")),
                detail=f"{user.date_time(record.train_start)} – {user.date_time(record.train_end)}",
            ),
            *_family_facts(user, record),
            stat(user.t("Features"), user.number(len(record.features) or len(record.spec.get("features", ())))),
            stat(
                user.t("Certificate"),
                user.t("none yet")
                if certificate is None
                else user.t("passed")
                if certificate.get("certified")
                else user.t("failed"),
            ),
            stat(
                user.t("Live"),
                user.t("active") if record.is_active else user.t("off"),
                detail=user.t("alerts from {share}", share=user.threshold(record.alert_threshold)),
            ),
        ),
        style={"marginBottom": 16},
    )


def _status_notice(user: UserContext, record: ModelRecord) -> list[Any]:
    if record.status == "FAILED":
        again = link_button(user.t("Change and train again"), f"/dashboard/new?clone={record.id}")
        return [
            callout(
                dmc.Stack(
                    [
                        dmc.Text(
                            user.message(record.error_detail or record.error_msg or "") or user.t("no details"),
                            size="sm",
                        ),
                        html.Div(again),
                    ]
                ),
                title=user.t("The training failed"),
                color="red",
            )
        ]
    if record.status == "NO_ARTIFACT":
        words = dmc.Text(user.message(record.error_detail or record.error_msg or ""), size="sm")
        return [callout(words, title=user.t("Taken over without an artifact"), color="gray")]
    if record.status == "TRAINING":
        text = dmc.Group(
            [
                dmc.Text(user.t("Its metrics appear here when it is ready."), size="sm"),
                link_button(user.t("See the job"), "/dashboard/jobs"),
            ]
        )
        return [callout(text, title=user.t("This model is being trained"))]
    return []


def _missing_inputs(app: DashboardApp, user: UserContext, record: ModelRecord) -> list[Any]:
    if app.services.live is None or record.status != "READY":
        return []
    columns = app.services.live.missing_columns(record)
    if not columns:
        return []
    text = user.message(Message("model.columns_missing", columns=columns))
    return [callout(text, title=user.t("Its inputs are incomplete"), color="orange")]


def _tabs(
    app: DashboardApp,
    user: UserContext,
    record: ModelRecord,
    tests: list[TestResult],
    chosen: TestResult | None,
    query: dict[str, str],
) -> Any:
    tabs: dict[str, tuple[str, Callable[[], Any]]] = {
        "quality": (user.t("Evaluation"), lambda: _evaluation_tab(user, record, tests, chosen, query)),
        "inside": (user.t("Feature importance"), lambda: _importance_tab(user, record)),
        "tests": (user.t("Tests ({n})", n=len(tests)), lambda: _tests(user, record, tests)),
        "live": (user.t("Live"), lambda: live_panel(app, user, record)),
        "specification": (user.t("Specification"), lambda: _specification(user, record)),
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


def _evaluation_tab(
    user: UserContext, record: ModelRecord, tests: list[TestResult], chosen: TestResult | None, query: dict[str, str]
) -> Any:
    choices = [{"value": "", "label": user.t("Out of fold, within the training period")}] + [
        {
            "value": str(test.id),
            "label": user.t(
                "Test {id}: {start} – {end}",
                id=test.id,
                start=user.date_time(test.test_start),
                end=user.date_time(test.test_end),
            ),
        }
        for test in tests
    ]
    return dmc.Stack(
        [
            dmc.Select(
                id="model-source",
                label=user.t("Evaluated on"),
                data=choices,
                value="" if chosen is None else str(chosen.id),
                allowDeselect=False,
                maw=520,
            ),
            html.Div(_evaluation_panel(user, record, chosen, query.get("threshold")), id="model-quality"),
        ]
    )


def _evaluation(record: ModelRecord, test: TestResult | None) -> Any:
    return test.evaluation if test is not None else record.evaluation or {}


def _evaluation_panel(
    user: UserContext, record: ModelRecord, test: TestResult | None, threshold: str | None = None
) -> Any:
    evaluation = _evaluation(record, test)
    return dmc.Stack(
        [
            model_findings(user, record, test),
            dmc.Grid(
                [
                    card(
                        user.t("Metrics against baselines"),
                        shown.metric_table(user, evaluation),
                        text=user.t(
                            "In brackets: where the true value lies with {share}, by coin and time.",
                            share=user.percent(0.95, 0),
                        ),
                        span={"base": 12, "lg": 7},
                    ),
                    card(
                        user.t("Decision threshold"),
                        shown.threshold_panel(user, evaluation, threshold),
                        text=user.t("Probability from which a row is predicted positive"),
                        span={"base": 12, "lg": 5},
                    ),
                ]
            ),
            lazy_area("model-curves", 1200),
        ]
    )


def _importance_tab(user: UserContext, record: ModelRecord) -> Any:
    importance = figure_importance(record.feature_importance, theme=user.theme)
    cards = [
        card(
            user.t("Most important features"),
            chart(user, "model-importance", importance, label=user.t("Bars: share of importance of each feature")),
            span={"base": 12, "lg": 6},
        )
    ]
    if record.cv_scores:
        drawing = figure_folds({record.name: record.cv_scores}, theme=user.theme)
        cards.append(
            card(
                user.t("Fold by fold, over time"),
                chart(
                    user,
                    "model-folds",
                    drawing,
                    label=user.t("Lines: PR-AUC of each fold, on later and on its own rows"),
                ),
                text=user.t(
                    "Each fold is trained on earlier rows, evaluated on later ones. Lines far apart mean overfitting."
                ),
                span={"base": 12, "lg": 6},
            )
        )
    cards.append(card(user.t("Certificate"), shown.certificate_table(user, record.certificate), span=12))
    return dmc.Grid(cards)


def _tests(user: UserContext, record: ModelRecord, tests: list[TestResult]) -> Any:
    if not tests:
        return callout(
            dmc.Group(
                [
                    dmc.Text(
                        user.t("It has not been tested on later data. Only such a test shows what it is worth."),
                        size="sm",
                    ),
                    link_button(user.t("Test it"), f"/dashboard/test?models={record.id}"),
                ]
            ),
            title=user.t("No test yet"),
        )
    return shown.test_table(user, tests)


def _specification(user: UserContext, record: ModelRecord) -> Any:
    text = json.dumps(dict(record.spec), indent=2, ensure_ascii=False)
    rows = [
        (user.t("Artifact, SHA-256"), record.artifact_sha256),
        (user.t("Data, SHA-256"), record.dataset_fingerprint),
        (user.t("Created"), user.date_time(record.created_at)),
        (user.t("Description"), record.description),
        (user.t("Libraries"), ", ".join(f"{name} {version}" for name, version in record.library_versions.items())),
    ]
    return dmc.Stack(
        [
            shown.key_value_table([(name, value) for name, value in rows if value]),
            html.Pre(text, className="kw-code", tabIndex=0, **{"aria-label": user.t("Specification")}),
            naming(user, record),
        ]
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    app.clientside_callback(
        "(tab, test) => kurswerk.query({tab: tab === 'quality' ? null : tab, test})",
        Input("model-tabs", "value"),
        Input("model-source", "value"),
    )
    app.clientside_callback(shown.UPDATE_THRESHOLD, *shown.THRESHOLD_DEPENDENCIES, initial_call=True)

    def found(source: str, model_id: int) -> tuple[ModelRecord, TestResult | None]:
        return app.services.models.get(model_id), app.services.results.test(int(source)) if source else None

    @app.callback(Output("model-quality", "children"), Input("model-source", "value"), State("model-id", "data"))
    def judge(user: UserContext, source: str, model_id: int) -> Any:
        return _evaluation_panel(user, *found(source, model_id))

    @app.callback_when_visible("model-curves", State("model-source", "value"), State("model-id", "data"))
    def draw(user: UserContext, source: str, model_id: int) -> Any:
        record, test = found(source, model_id)
        evaluations = {record.name: _evaluation(record, test)}
        return dmc.Grid([*shown.trade_cards(user, evaluations), *shown.chart_cards(user, evaluations)])

    register_actions(app)


PAGE: Final = PageDefinition("/models/{model_id}", N_("Model"), layout, register_callbacks, menu=False, charts=True)
