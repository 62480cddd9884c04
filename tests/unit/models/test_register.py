"""What every registered family must declare."""

import subprocess
import sys

import pytest

from kurswerk.models import FAMILIES, MODEL_TYPES, create, family_named

HEAVY = {"sklearn", "sklearnex", "xgboost", "imblearn"}


@pytest.mark.parametrize("name", MODEL_TYPES)
def test_a_family_declares_its_estimator_and_its_form(name):
    family = family_named(name)
    estimator = create(name)
    assert type(estimator).model_type == family.name == name
    assert list(family.hyper_parameters.model_fields)[-1] == "random_state"
    fields = family.hyper_parameters.form_fields()
    assert fields
    for field in fields:
        assert field.title
        assert field.description
        assert field.default == estimator.params[field.name]
    assert set(family.facts)
    assert family.operators


def test_families_are_known_without_their_training_libraries():
    program = "import sys, kurswerk.models; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
    assert list(FAMILIES) == list(MODEL_TYPES)
