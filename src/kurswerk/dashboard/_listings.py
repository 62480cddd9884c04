"""Words for models and jobs that several pages show."""

from collections.abc import Mapping, Sequence
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


def model_names(kit: Kit) -> Mapping[int, str]:
    """Return id → name of all models."""
    return kit.memory.get(
        "model-names", lambda: {one.id: one.name for one in kit.services.models.find(limit=1000)}, seconds=3
    )


def ready_models(kit: Kit) -> Sequence[ModelRecord]:
    """Return the models that can be used."""
    return kit.services.models.find(status="READY", limit=1000)


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
