import json
import pickle
import threading

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from kurswerk.core.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactForeignError,
    ConflictError,
    DataError,
    SpecError,
)
from kurswerk.models import CLASSIFIERS, OnnxModel, create, model_params
from kurswerk.models._artifact import SEAL_LENGTH, seal

NAMES = ["price_close", "rsi_14", "volumen_größe"]


def small(model_type, trees):
    """Few trees, where a family has trees."""
    return {"n_estimators": trees} if "n_estimators" in model_params(model_type) else {}


def trained(model_type="xgboost", n=400, **params):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, 3)).astype(np.float32)
    return create(model_type, {**small(model_type, 6), **params}).fit(X, (X[:, 0] > 0).astype(np.int8)), X


ARTIFACT = trained()[0].to_onnx(NAMES, {"note": "ü"})


def resealed(change):
    """Change a model and write it anew, with a seal that fits."""
    model = onnx.load_model_from_string(ARTIFACT)
    change(model)
    model.metadata_props.remove(named(model, "sha256"))
    ending = onnx.ModelProto()
    ending.metadata_props.add(key="sha256", value="0" * SEAL_LENGTH)
    data = (model.SerializeToString() + ending.SerializeToString())[:-SEAL_LENGTH]
    return data + seal(data)


@pytest.mark.parametrize("model_type", CLASSIFIERS)
def test_what_was_exported_comes_back(model_type):
    model, _ = trained(model_type)
    data = model.to_onnx(NAMES, {"hash": "1", "at": [1, None]})
    loaded = OnnxModel.load(data)
    assert loaded.feature_names == tuple(NAMES)
    assert loaded.model_type == model_type
    assert loaded.metadata == {"hash": "1", "at": [1, None]}
    assert data == model.to_onnx(NAMES, {"at": [1, None], "hash": "1"})
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)


@pytest.mark.parametrize("model_type", CLASSIFIERS)
def test_a_row_has_the_same_bits_alone_in_any_batch_and_with_any_threads(model_type):
    model, _ = trained(model_type, **small(model_type, 130))
    X = np.random.default_rng(2).standard_normal((3001, 3)).astype(np.float32)
    data = model.to_onnx(NAMES, {})
    loaded = OnnxModel.load(data)
    whole = loaded.predict_proba(X)
    assert whole.dtype == np.float32
    assert np.array_equal(np.concatenate([loaded.predict_proba(X[i : i + 1]) for i in range(200)]), whole[:200])
    for size in (3, 255, 256, 257, 1000):
        parts = [loaded.predict_proba(X[i : i + size]) for i in range(0, len(X), size)]
        assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(OnnxModel.load(data, threads=3).predict_proba(X), whole)
    assert np.array_equal(loaded.predict_proba(np.asfortranarray(X)), whole)
    assert np.array_equal(loaded.predict_proba(X.astype(np.float64)), whole)


def test_threads_may_share_one_model():
    loaded = OnnxModel.load(ARTIFACT, threads=2)
    X = np.random.default_rng(2).standard_normal((2000, 3)).astype(np.float32)
    expected, seen = loaded.predict_proba(X), []
    workers = [threading.Thread(target=lambda: seen.append(loaded.predict_proba(X))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(seen) == 8
    assert all(np.array_equal(result, expected) for result in seen)


def test_no_rows_make_no_probabilities():
    assert OnnxModel.load(ARTIFACT).predict_proba(np.empty((0, 3), np.float32)).shape == (0,)


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (3,), (1, 3, 1)])
def test_other_columns_are_refused(shape):
    with pytest.raises(DataError, match="3 features"):
        OnnxModel.load(ARTIFACT).predict_proba(np.zeros(shape, np.float32))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(ARTIFACT) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position, flip):
    damaged = bytearray(ARTIFACT)
    damaged[position] ^= flip
    with pytest.raises(ArtifactError):
        OnnxModel.load(bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, 100, len(ARTIFACT) // 2, len(ARTIFACT) - 1])
def test_a_cut_file_is_refused(length):
    with pytest.raises(ArtifactError):
        OnnxModel.load(ARTIFACT[:length])


def test_damage_is_distinguished_from_foreign_bytes():
    middle = bytearray(ARTIFACT)
    middle[len(middle) // 2] ^= 1
    for damaged in (bytes(middle), ARTIFACT[:-1], ARTIFACT + b"\x00"):
        with pytest.raises(ArtifactCorruptError, match="train again"):
            OnnxModel.load(damaged)
    for foreign in (b"", b"PK\x03\x04", pickle.dumps({"a": 1}), b"<html>", b"\xff" * 50):
        with pytest.raises(ArtifactForeignError, match="only models"):
            OnnxModel.load(foreign)


def test_somebody_elses_onnx_is_refused():
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", info[:1], info[1:])
    with pytest.raises(ArtifactForeignError, match="not written by Kurswerk"):
        OnnxModel.load(helper.make_model(graph).SerializeToString())


def named(model, key):
    return next(entry for entry in model.metadata_props if entry.key == key)


def custom_domain(model):
    model.graph.node[1].domain = "com.evil"


def other_operator(model):
    model.graph.node[1].op_type = "Loop"


def nested_graph(model):
    model.graph.node[1].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.name = "inner"


def outside_data(model):
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def outside_weights(model):
    next(a for a in model.graph.node[0].attribute if a.name == "leaf_weights").t.data_location = TensorProto.EXTERNAL


def function(model):
    model.functions.add(name="Neg", domain="")


def newer(model):
    named(model, "version").value = "3"


def fewer_names(model):
    named(model, "feature_names").value = '["a"]'


def unnamed(model):
    named(model, "feature_names").value = '{"a": 1}'


def no_json(model):
    named(model, "metadata").value = "{"


def no_type(model):
    named(model, "model_type").key = "kind"


def other_family(model):
    named(model, "model_type").value = "logistic_regression"


def unknown_family(model):
    named(model, "model_type").value = "oracle"


def probability_of_a_regressor(model):
    named(model, "model_type").value = "xgboost_regressor"


def other_input(model):
    model.graph.input[0].name = "x"


def odd_input(model):
    del model.graph.input[0].type.tensor_type.shape.dim[:]


def broken_wiring(model):
    model.graph.node[1].input[0] = "nowhere"


def broken_trees(model):
    del next(a for a in model.graph.node[0].attribute if a.name == "nodes_splits").t.dims[:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (custom_domain, "domain 'com.evil'"),
        (other_operator, "operator 'Loop'"),
        (other_family, "operator 'TreeEnsemble'"),
        (unknown_family, "model type 'oracle'"),
        (nested_graph, "nests a graph"),
        (outside_data, "outside itself"),
        (outside_weights, "outside itself"),
        (function, "carries functions"),
        (newer, "format version '3'"),
        (fewer_names, "takes 3 features but names 1"),
        (unnamed, "not those of a Kurswerk model"),
        (no_json, "incomplete"),
        (no_type, "incomplete"),
        (other_input, "must map"),
        (probability_of_a_regressor, "not those of a model of type xgboost_regressor"),
        (odd_input, "takes None features"),
        (broken_wiring, "cannot be run"),
        (broken_trees, "cannot be run"),
    ],
)
def test_a_sealed_forgery_is_refused_with_its_reason(change, message):
    with pytest.raises(ArtifactForeignError, match=message):
        OnnxModel.load(resealed(change))


def test_nothing_but_the_model_is_in_the_file():
    model = onnx.load_model_from_string(ARTIFACT)
    assert sorted(entry.key for entry in model.metadata_props) == [
        "feature_names", "format", "metadata", "model_type", "sha256", "version",
    ]  # fmt: skip
    assert json.loads(named(model, "metadata").value) == {"note": "ü"}
    assert model.doc_string == model.producer_version == ""


def test_export_refuses_what_does_not_fit():
    model, _ = trained()
    for names in (NAMES[:2], [*NAMES, "x"], ["a", "a", "b"]):
        with pytest.raises(SpecError, match="model of 3 features"):
            model.to_onnx(names, {})
    for metadata in ({"a": np.zeros(2)}, {"a": float("nan")}):
        with pytest.raises(SpecError, match="must be JSON"):
            model.to_onnx(NAMES, metadata)


@pytest.mark.parametrize("model_type", CLASSIFIERS)
def test_nothing_is_predicted_before_the_fit_and_a_second_fit_counts(model_type):
    blank = create(model_type, small(model_type, 2))
    with pytest.raises(ConflictError, match="call fit first"):
        blank.predict_proba(np.zeros((1, 3)))
    with pytest.raises(ConflictError, match="call fit first"):
        blank.to_onnx(NAMES, {})
    model, X = trained(model_type)
    before = model.predict_proba(X)
    model.fit(X, (X[:, 1] > 0).astype(np.int8))
    assert not np.array_equal(before, model.predict_proba(X))
