"""Costs of simulated trades: who decides them, what is refused, and that no model depends on them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import InvalidInputError, SpecError, UnknownNameError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.evaluation import TradeCosts
from kurswerk.jobs import JobKinds, JobService, no_progress
from kurswerk.training import COST_PRESETS, Costs, ModelSpec, Period, costs_of, load_dataset, run_test, train
from kurswerk.training import test_kind as kind_of_tests
from kurswerk.training._fit import fit_final
from memory_jobs import MemoryJobs
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec, random_market, stores_of

PANEL = random_market(coins=3, minutes=600)
LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
PERIOD = {"test_start": "2024-01-01T06:41:00Z", "test_end": "2024-01-01T09:59:00Z"}

points = st.floats(0, 9_999, allow_nan=False)
some_costs = st.builds(Costs, fee_bps=points, slippage_bps=points)
choices = st.one_of(st.sampled_from(sorted(COST_PRESETS)), some_costs)


def spec_with(costs):
    return ModelSpec.parse(a_spec().as_json() | {"costs": costs})


@pytest.fixture(scope="module")
def registry():
    """Two models that differ in their costs alone: ``free`` states a preset, ``plain`` states none."""
    registry = MemoryRegistry()
    train(a_spec(name="free", costs="none"), stores_of(PANEL, registry))
    train(a_spec(name="plain"), stores_of(PANEL, registry))
    return registry


@given(st.lists(st.none() | choices, max_size=4), choices, st.lists(st.none() | choices, max_size=4))
def test_the_first_costs_that_are_given_decide(before, first, after):
    nothing = [None] * len(before)
    assert costs_of(*nothing, first, *after) == costs_of(first)
    assert costs_of(*nothing) == Costs()
    given_before = [choice for choice in before if choice is not None]
    assert costs_of(*before, first) == costs_of(*(given_before or [first])[:1])


@given(choices)
def test_costs_are_read_as_they_are_written(costs):
    read = spec_with(costs if isinstance(costs, str) else costs.model_dump()).costs
    assert read == costs
    stored = ModelSpec.stored(spec_with(read if isinstance(read, str) else read.model_dump()).as_json())
    assert stored.costs == read


@pytest.mark.parametrize("name", COST_PRESETS)
def test_a_preset_is_a_name_for_its_values(name):
    assert costs_of(name) == costs_of(COST_PRESETS[name]) == Costs(**COST_PRESETS[name].model_dump())


def test_presets_go_from_free_to_dear_and_the_default_is_that_of_trades():
    total = {name: costs.fee_bps + costs.slippage_bps for name, costs in COST_PRESETS.items()}
    assert total["none"] == 0 < total["futures-taker"] < total["spot-taker"] < total["bonding-curve"]
    default = TradeCosts()
    assert Costs() == COST_PRESETS["spot-taker"] == Costs(fee_bps=default.fee_bps, slippage_bps=default.slippage_bps)


@pytest.mark.parametrize(
    ("costs", "error", "message"),
    [
        ("spot-takr", UnknownNameError, "'spot-takr'; did you mean 'spot-taker'?"),
        ("", UnknownNameError, "bonding-curve"),
        ({"fee": 1.0}, UnknownNameError, "'fee' in costs; did you mean 'fee_bps'?"),
        ({"fee_bps": -1.0}, SpecError, "greater than or equal to 0 (given: '-1.0')"),
        ({"slippage_bps": 10_000.0}, SpecError, "less than 10,000 (given: '10000.0')"),
        ({"fee_bps": "10"}, SpecError, "(given: '10')"),
        ({"fee_bps": True}, SpecError, "(given: 'True')"),
        ({"fee_bps": float("nan")}, SpecError, "finite number (given: 'nan')"),
        (10, SpecError, "fee_bps and slippage_bps (given: '10')"),
    ],
)
def test_wrong_costs_are_refused_by_value_with_what_is_right(costs, error, message):
    with pytest.raises(error) as refused:
        spec_with(costs)
    assert message in str(refused.value)
    assert "costs" in str(refused.value)


@given(st.floats() | st.text(max_size=12))
def test_a_fee_is_accepted_exactly_in_its_range(value):
    right = isinstance(value, float) and 0 <= value < 10_000
    try:
        accepted = spec_with({"fee_bps": value}).costs == Costs(fee_bps=value)
    except InvalidInputError:
        accepted = False
    assert accepted == right


def test_a_models_bytes_do_not_depend_on_costs(registry):
    dataset = load_dataset(a_spec(), MemoryMarket(PANEL))
    wanted = fit_final(a_spec(), dataset)[1]
    for costs in ("none", "bonding-curve", {"fee_bps": 1.5}):
        assert fit_final(spec_with(costs), dataset)[1] == wanted
    free, plain = registry.get("free"), registry.get("plain")
    assert free.artifact_sha256 == plain.artifact_sha256
    assert free.metrics.simulated_profit_pct > plain.metrics.simulated_profit_pct
    assert replace(free.metrics, simulated_profit_pct=0.0) == replace(plain.metrics, simulated_profit_pct=0.0)


def fees(result):
    trades = result.evaluation["trades"]
    return trades["fee_bps"], trades["slippage_bps"]


@pytest.mark.parametrize(
    ("model", "asked", "wanted"),
    [
        ("plain", None, (10, 5)),
        ("free", None, (0, 0)),
        ("free", "bonding-curve", (100, 50)),
        ("plain", {"fee_bps": 1.5}, (1.5, 5)),
        ("free", {}, (10, 5)),
    ],
)
def test_a_test_request_decides_before_the_specification(registry, model, asked, wanted):
    stores = stores_of(PANEL, registry)
    costs = Costs(**asked) if isinstance(asked, dict) else asked
    assert fees(run_test(model, LATER, stores, costs=costs)[1]) == wanted
    jobs = MemoryJobs()
    service = JobService(JobKinds(kind_of_tests(stores)), jobs)
    job = service.order("TEST", {"model_id": model, "costs": asked, **PERIOD})
    service.run(jobs.start(job.id), no_progress)
    assert fees(registry.tests[jobs.get(job.id).result_test_id - 1]) == wanted
