"""What travels with a SavedModel: its description, its card, and the requests that warm it up."""

import json

import pytest
import tensorflow as tf

from export.serving.warmup import read_warmup_requests
from lsps_tf.skeleton import SKELETONS
from tests.export.saved_model.calling import OUTPUTS, SIGNATURES, call


def test_assets_describe_the_model(model_dir):
    assets = model_dir / "lsps" / "1" / "assets"
    values = json.loads((assets / "lsps.json").read_text())
    nyu = SKELETONS["nyu"]
    assert values["joint_names"] == list(nyu.joint_names) and values["bones"] == [list(bone) for bone in nyu.bones]
    assert set(values["units"]) >= OUTPUTS | SIGNATURES["serving_hinted"] | {"joints_norm", "depth_mm", "image"}
    assert set(values["limits"]) == {"hands", "frame", "counts", "camera"}
    card = (assets / "MODEL_CARD.md").read_text()
    for part in ("# Model card", "preset tiny", "nyu, 36 joints", "structured-light", "no real labels", "## Limits"):
        assert part in card
    assert "calibrated on 8 frames of real/validation" in card and "Not evaluated yet" in card


def test_the_card_holds_the_figures_of_the_evaluation(run, tmp_path):
    import dataclasses

    from export.saved_model.model_card import card_text

    moved = dataclasses.replace(run, directory=tmp_path)
    (tmp_path / "evaluation").mkdir()
    figures = {"mean_error_mm": 12.345, "frames": 77, "within_40_mm_percent": 66.6}
    (tmp_path / "evaluation" / "test.json").write_text(json.dumps(figures))
    card = card_text(moved, None, 4)
    assert "12.35 mm, on 77 frames" in card and "66.60 %" in card and "the model gives none" in card
    (tmp_path / "evaluation" / "test.json").write_text("{")
    assert "Not evaluated yet" in card_text(moved, None, 4)


def test_warm_up_requests_can_be_run(model, model_dir):
    requests = list(read_warmup_requests(model_dir / "lsps" / "1"))
    assert {name for name, _ in requests} == set(SIGNATURES) and len(requests) <= 1000
    for name, inputs in requests:
        outputs = call(model, name, **inputs)
        assert all(len(value) == len(next(iter(inputs.values()))) for value in outputs.values())


def test_warm_up_requests_are_tensorflow_serving_s(model_dir):
    """Read with TensorFlow Serving's own messages where they are installed (pip install --no-deps)."""
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    path = model_dir / "lsps" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    records = [logs.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    assert {record.predict_log.request.model_spec.signature_name for record in records} == set(SIGNATURES)
    assert records[0].predict_log.request.model_spec.name == "lsps"
