"""Words for models and jobs that several pages show."""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, Final

from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.jobs import Job, JobKind, JobKinds
from kurswerk.models import FAMILIES
from kurswerk.registry import ModelRecord

MODEL_TYPE_WORDS: Final = {name: family.title for name, family in FAMILIES.items()}
TARGET_WORDS: Final = {
    ("up", "at"): N_("{column} {n}% higher after {horizon}"),
    ("down", "at"): N_("{column} {n}% lower after {horizon}"),
    ("up", "within"): N_("{column} {n}% higher within {horizon}"),
    ("down", "within"): N_("{column} {n}% lower within {horizon}"),
}


PEER_WORDS: Final = {
    ("market", "up"): N_("{column} among the {share} that rise most after {horizon}"),
    ("market", "down"): N_("{column} among the {share} that fall most after {horizon}"),
    ("sector", "up"): N_("{column} among the {share} of its sector that rise most after {horizon}"),
    ("sector", "down"): N_("{column} among the {share} of its sector that fall most after {horizon}"),
}


def job_title(user: UserContext, job: Job, names: Mapping[int, str], kinds: JobKinds) -> str:
    """Return what a job does, in the words of its kind.

    Parameters
    ----------
    names
        Id → name of models.
    """
    kind = kinds.find(job.job_type)
    if kind is None:
        return job.job_type
    fields = [field for _, field, _, _ in Formatter().parse(kind.title) if field]
    values = {field: job.request.get(field, "?") for field in fields}
    for field, value in values.items():
        if field.startswith("model_") and isinstance(value, int):
            values[field] = names.get(value, f"#{value}")
    return user.t(kind.title, **values)


def kind_label(user: UserContext, kind: JobKind[Any]) -> str:
    """Return what a kind of job is called where kinds are listed."""
    return user.t(kind.label or kind.name)


def target_description(user: UserContext, record: ModelRecord) -> str:
    """Describe a model's target."""
    spec = record.spec
    if "target_var" not in spec:  # taken over from an older service that described it otherwise
        return user.t("target not known")
    values = {
        "column": spec["target_var"],
        "n": user.number(spec.get("min_percent_change"), 2).removesuffix("00").rstrip(".,"),
        "horizon": _horizon(user, spec),
    }
    if spec.get("target") == "return":
        return user.t("return of {column} after {horizon}", column=spec["target_var"], horizon=values["horizon"])
    if not spec.get("use_time_based_prediction"):
        return f"{spec['target_var']} {spec.get('operator')} {user.number(spec.get('target_value'), 2)}"
    if spec.get("quantile") is not None:
        text = PEER_WORDS[str(spec.get("relative_to")), str(spec.get("direction"))]
        return user.t(text, **values | {"share": user.percent(float(spec["quantile"]))})
    way = (str(spec.get("direction")), str(spec.get("horizon_mode") or "at"))
    return user.t(TARGET_WORDS.get(way, TARGET_WORDS["up", "at"]), **values)


def forecast_text(user: UserContext, forecast: Sequence[float]) -> str:
    """Return a forecast in percent with its interval."""
    middle, low, high = (user.signed(value, 2) for value in forecast)
    return f"{middle} ({low} … {high})"


def _horizon(user: UserContext, spec: Mapping[str, Any]) -> str:
    """Return how far a specification looks ahead, as it stands behind "after" and "within"."""
    sessions = spec.get("horizon_sessions")
    if sessions is None:
        return user.t("{minutes} min", minutes=user.number(spec.get("future_minutes"), 0))
    return user.tn("{n} session", "{n} sessions", int(sessions))
