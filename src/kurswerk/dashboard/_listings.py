"""Words for models and jobs that several pages show."""

import re
from collections.abc import Mapping
from typing import Any, Final

from kurswerk.dashboard._kit import Kit
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.registry import ModelRecord
from kurswerk.training import Job

MODEL_TYPE_WORDS: Final = {"random_forest": N_("Random forest"), "xgboost": N_("Gradient boosting (XGBoost)")}
JOB_WORDS: Final = {
    "TRAIN": N_("Training of {name}"),
    "TEST": N_("Test of {name}"),
    "COMPARE": N_("Comparison of {a} with {b}"),
    "CERTIFY": N_("Certificate of {name}"),
}
TARGET_WORDS: Final = {
    ("up", "at"): N_("{column} {n} % higher after {minutes} min"),
    ("down", "at"): N_("{column} {n} % lower after {minutes} min"),
    ("up", "within"): N_("{column} {n} % higher within {minutes} min"),
    ("down", "within"): N_("{column} {n} % lower within {minutes} min"),
}
# What the work itself says of its progress, with the numbers in it set aside.
MESSAGES: Final = (
    (re.compile(r"starting"), N_("starting")),
    (re.compile(r"loading rows"), N_("loading rows")),
    (re.compile(r"computing features of ([\d,]+) rows"), N_("computing features of {} rows")),
    (re.compile(r"fold (\d+) of (\d+).*"), N_("fold {} of {}")),
    (re.compile(r"fitting on all ([\d,]+) rows"), N_("fitting on all {} rows")),
    (re.compile(r"evaluating out of fold"), N_("evaluating out of fold")),
    (re.compile(r"evaluating ([\d,]+) rows"), N_("evaluating {} rows")),
    (re.compile(r"storing"), N_("storing")),
    (re.compile(r"waiting for a worker"), N_("waits for a worker")),
    (re.compile(r"waiting to run again"), N_("waits to run again")),
    (re.compile(r"(.+); waiting to run again", re.DOTALL), N_("{}; waits to run again")),
    (re.compile(r"try (\d+) of (\d+), worker (.+)"), N_("try {} of {}, worker {}")),
    (re.compile(r"cancelled before it was finished"), N_("cancelled before it was finished")),
    (re.compile(r"ordered to run again"), N_("ordered to run again")),
    (re.compile(r"done"), N_("done")),
    (re.compile(r"answered in ([\d.]+) ms"), N_("answered in {} ms")),
    (re.compile(r"at revision (\w+)"), N_("at revision {}")),
    (re.compile(r"(\d+) alive, the last heartbeat ([\d.]+) s ago"), N_("{} alive, the last heartbeat {} s ago")),
    (re.compile(r"(\d+) alive, (\d+) active models"), N_("{} alive, {} active models")),
    (re.compile(r"([\d.,]+) GB free"), N_("{} GB free")),
    (re.compile(r"(\d+) % in use"), N_("{} % in use")),
)


def model_names(kit: Kit) -> Mapping[int, str]:
    """Return id → name of all models."""
    return kit.memory.get(
        "model-names", lambda: {one.id: one.name for one in kit.services.models.find(limit=1000)}, seconds=3
    )


def job_title(view: View, job: Job, names: Mapping[int, str]) -> str:
    """Say what a job does.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> job = SimpleNamespace(job_type="TEST", request={"model_id": 3}, result_model_id=None)
    >>> job_title(View(), job, {3: "forest"})
    'Test of forest'
    """
    request = job.request

    def name_of(model_id: Any) -> str:
        return names.get(int(model_id), f"#{model_id}") if model_id is not None else "?"

    if job.job_type == "COMPARE":
        return view.t(JOB_WORDS["COMPARE"], a=name_of(request.get("model_a_id")), b=name_of(request.get("model_b_id")))
    name = request.get("name") or name_of(request.get("model_id", job.result_model_id))
    return view.t(JOB_WORDS.get(job.job_type, "{name}"), name=name)


def target_words(view: View, record: ModelRecord) -> str:
    """Say what a model foresees."""
    spec = record.spec
    values = {
        "column": spec["target_var"],
        "n": view.number(spec.get("min_percent_change"), 2).removesuffix("00").rstrip(".,"),
        "minutes": view.number(spec.get("future_minutes"), 0),
    }
    if not spec.get("use_time_based_prediction"):
        return f"{spec['target_var']} {spec.get('operator')} {view.number(spec.get('target_value'), 2)}"
    way = (str(spec.get("direction")), str(spec.get("horizon_mode") or "at"))
    return view.t(TARGET_WORDS.get(way, TARGET_WORDS["up", "at"]), **values)


def machine_words(view: View, message: str) -> str:
    """Put what a process said of its progress into the reader's language, as far as the catalogue knows it.

    Examples
    --------
    >>> machine_words(View(), "fitting on all 1,000 rows")
    'fitting on all 1,000 rows'
    """
    if view.language == "en":
        return message
    for pattern, text in MESSAGES:
        found = pattern.fullmatch(message)
        if found:
            return view.t(text).format(*found.groups())
    return message
