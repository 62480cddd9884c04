"""Compiled steps against their own text run by Python: compilation may not change a bit."""

import inspect

import numpy as np
import pytest

from kurswerk.features import FeaturePlan, _kernels, _live, _plan
from kurswerk.features._kernels import FIRST_RECURSIVE, STEPS
from kurswerk.market import COINS
from unit.features.markets import market, same_bits
from unit.features.test_properties import EVERYTHING, live

SPECIAL = [np.nan, 0.0, -0.0, 1.0, 1.0, -2.0, np.inf, -np.inf, 1e308, 5e-324]
VECTORS = [name for name, (code, _) in STEPS.items() if name not in {"mean_deviation", "ema_bank"}]


def canonical(values):
    return np.where(np.isnan(values), np.nan, values)


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero):RuntimeWarning")
def test_a_compiled_step_equals_its_text(name):
    step, rng = STEPS[name][1], np.random.default_rng(1)
    results = []
    for function in (step, step.py_func):
        rng = np.random.default_rng(1)
        arguments = []
        for parameter in inspect.signature(step.py_func).parameters:
            if parameter in {"p", "q"}:
                arguments.append(2.0)
            elif parameter == "state":
                arguments.append(np.zeros(8))
            else:
                arguments.append(np.concatenate([rng.choice(SPECIAL, 300), rng.normal(size=101)]))
        function(*arguments)
        results.append(canonical(arguments[0]))
    assert same_bits(*results)


def plain(monkeypatch):
    """Replace the compiled drivers by their text; the steps they call are replaced as well."""
    for module in (_kernels, _plan, _live):
        for name, function in inspect.getmembers(module, lambda member: hasattr(member, "py_func")):
            monkeypatch.setattr(module, name, function.py_func)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero):RuntimeWarning")
def test_the_interpreter_equals_its_text_in_batch_live_and_rebuild(monkeypatch):
    panel = market(21, rows=(25, 3))
    compiled = EVERYTHING.compute(panel)
    order = np.arange(len(panel))
    plain(monkeypatch)
    assert same_bits(EVERYTHING.compute(panel), compiled)
    assert same_bits(live(EVERYTHING, panel, order, [20]), compiled)
    engine = _live.LiveEngine(EVERYTHING)
    past = panel.where(order < 20)
    engine.rebuild(past)
    assert same_bits(live(EVERYTHING, panel.where(order >= 20), np.arange(8), [], engine), compiled[20:])
    with pytest.raises(_live.LateRowError):
        live(EVERYTHING, past, np.arange(20), [], engine)


def test_codes_separate_windows_from_states():
    recursive = {name for name, (code, _) in STEPS.items() if code >= FIRST_RECURSIVE}
    assert recursive == {"ema_bank", "running_sum", "running_high", "running_high_place", "on_balance"}
    assert FeaturePlan(["obv"], COINS).recursive
