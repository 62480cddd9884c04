"""The verdict on a model in words, from its stored evaluation, trades and certificate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kurswerk.reports._formats import BASELINES, number, percent, shortened, signed
from kurswerk.reports._report import ReportedModel

Json = Mapping[str, Any]

_LONGEST_NAME = 60


@dataclass(frozen=True)
class Verdict:
    """One finding: ``good``, ``bad``, or ``unsure`` where the data do not decide."""

    tone: Literal["good", "bad", "unsure"]
    text: str
    detail: str = ""


def verdicts(name: str, model: ReportedModel) -> list[Verdict]:
    """Return all findings about a model, the most important first."""
    name = shortened(name, _LONGEST_NAME)
    return [
        *_on_status(name, model),
        *_on_baselines(name, model.evaluation),
        *_on_trades(name, model.evaluation),
        *_on_certificate(name, model),
        *_warnings(name, model),
    ]


def confidence(evaluation: Json) -> str:
    """Return the share that intervals hold, as stored with them."""
    return percent((evaluation.get("bootstrap") or {}).get("confidence", 0.95), 0)


def _on_status(name: str, model: ReportedModel) -> Iterator[Verdict]:
    record = model.record
    if record.status != "READY":
        yield Verdict("bad", f"{name} is {record.status}.", record.error_msg or "")
    elif not model.tests:
        yield Verdict(
            "unsure",
            f"{name} has not been tested on later data.",
            "Metrics shown are out of fold: rows of the training period that the fold's model was not trained on.",
        )


def _on_baselines(name: str, evaluation: Json) -> Iterator[Verdict]:
    for baseline in BASELINES:
        if (evaluation.get("differences") or {}).get(baseline):
            yield against(name, evaluation, baseline)


def against(name: str, evaluation: Json, baseline: str, metric: str = "pr_auc") -> Verdict:
    """Judge whether a model ranks better than a baseline, and by how much."""
    other = BASELINES[baseline]
    difference = evaluation["differences"][baseline].get(metric) or {}
    own = (evaluation["metrics"].get(metric) or {}).get("value")
    theirs = (evaluation["baselines"][baseline].get(metric) or {}).get("value")
    if own is None or difference.get("value") is None:
        return Verdict("unsure", f"{name} cannot be set against {other}.", _why_undefined(evaluation))
    values = f"PR-AUC {number(own)} against {number(theirs)}"
    low, high = difference.get("low"), difference.get("high")
    if low is None or high is None:
        return Verdict(
            "unsure",
            f"{name} may or may not beat {other}: {values}.",
            "There are too few coins and too short a time to rule out luck.",
        )
    interval = (
        f"difference {signed(difference['value'])}, {confidence(evaluation)} interval {signed(low)} … {signed(high)}"
    )
    if (evaluation.get("beats") or {}).get(baseline, low > 0):
        return Verdict("good", f"{name} beats {other}: {values} ({interval}).")
    if high < 0:
        return Verdict("bad", f"{name} is worse than {other}: {values} ({interval}).")
    return Verdict(
        "unsure",
        f"{name} does not clearly beat {other}: {values} ({interval}).",
        "The interval includes zero, so the difference may be luck.",
    )


def _why_undefined(evaluation: Json) -> str:
    if evaluation.get("num_positive") == 0:
        return "Nothing that was to be predicted came true in the rows judged, so no ranking can be judged."
    return "The metric is undefined on these rows."


def _on_trades(name: str, evaluation: Json) -> Iterator[Verdict]:
    if not evaluation:
        return
    trades = evaluation.get("trades")
    if trades is None:
        yield Verdict("unsure", f"{name}: no trades are simulated.", "There is no price_close to trade at.")
    elif not trades["count"]:
        yield Verdict("unsure", f"{name} makes no trade.", _why_no_trade(evaluation, trades))
    else:
        yield _on_profit(name, evaluation, trades)


def _why_no_trade(evaluation: Json, trades: Json) -> str:
    if trades["skipped"]:
        return f"All {number(trades['skipped'])} predicted trades lack a usable price at entry or exit."
    return f"No probability reaches the threshold of {number(evaluation.get('threshold'), 2)}."


def _on_profit(name: str, evaluation: Json, trades: Json) -> Verdict:
    estimate = evaluation["metrics"].get("simulated_profit_pct") or {}
    low, high = estimate.get("low"), estimate.get("high")
    mean = trades["simulated_profit_pct"]
    plural = "" if trades["count"] == 1 else "s"
    text = (
        f"{name}'s {number(trades['count'])} simulated trade{plural} {'gain' if mean > 0 else 'lose'} "
        f"{number(abs(mean), 2)} % each on average, after costs"
    )
    if low is None or high is None:
        return Verdict("unsure", f"{text}.", "There are too few coins and too short a time for an interval.")
    text = f"{text} ({confidence(evaluation)} interval {signed(low, 2)} … {signed(high, 2)} %)."
    if low > 0:
        return Verdict("good", text)
    if high < 0:
        return Verdict("bad", text)
    return Verdict("unsure", text, "The interval includes zero, so gain or loss may be luck.")


def _on_certificate(name: str, model: ReportedModel) -> Iterator[Verdict]:
    certificate = model.record.certificate
    if model.record.status != "READY":
        return
    if certificate is None:
        yield Verdict(
            "unsure", f"{name} is not certified yet.", "kurswerk certify looks for leaks and compares batch with live."
        )
    elif certificate.get("certified"):
        yield Verdict(
            "good",
            f"{name} is certified: {number(certificate.get('values_compared'))} values compared bit by bit, none "
            f"differs; {number(certificate.get('leak_probes'))} probes found no look into the future.",
        )
    else:
        yield Verdict(
            "bad",
            f"{name} is NOT certified: {number(certificate.get('differing_bits'))} differing bits, "
            f"{number(certificate.get('leaks_found'))} of {number(certificate.get('leak_probes'))} probes failed.",
            "Do not trust its metrics before the cause is found.",
        )


def _warnings(name: str, model: ReportedModel) -> Iterator[Verdict]:
    test = model.test
    if test is None:
        return
    if test.has_overlap:
        note = test.overlap_note or "the test period overlaps the training period"
        yield Verdict("bad", f"{name} was tested on data it had seen.", f"{note[:1].upper()}{note[1:]}.")
    if test.is_overfitted:
        yield Verdict(
            "bad",
            f"{name} looks overfitted.",
            f"Accuracy falls by {number(test.accuracy_degradation)} from training to test.",
        )
