"""Opening models: each kind, and each way in which one can be damaged."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import mirror
from lsps_tf.camera import NYU
from lsps_tf.errors import InputError
from lsps_tf.hand_predictor import View
from lsps_tf.models import open_model
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import load_run


def cut(path: pathlib.Path, share: float):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


MODELS = ("run", "SavedModel", "TFLite")


def path_of(kind, run_dir, model_dir):
    return {"run": run_dir, "SavedModel": model_dir, "TFLite": model_dir / "lsps.tflite"}[kind]


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_predicts_what_the_run_does(run_dir, model_dir, frame_mm, kind):
    model = open_model(path_of(kind, run_dir, model_dir))
    assert model.kind == kind
    predictor = predictor_of_run(load_run(run_dir))
    for center_mm in (None, np.array([200.0, -50.0, 760.0], np.float32)):
        center = None if center_mm is None else center_mm[None]
        expected = predictor(frame_mm[None], NYU.intrinsics[None], center)
        [hand] = model.predict(View(frame_mm, NYU, center_mm=center_mm))
        for name in ("joints_mm", "joints_uvd", "center_mm"):
            np.testing.assert_allclose(getattr(hand, name), expected[name][0], atol=1e-2)
        assert hand.side == expected["hand"][0].numpy().decode()
    assert model.predict(View(np.zeros_like(frame_mm), NYU)) == []


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_takes_left_hands(run_dir, model_dir, frame_mm, kind):
    model = open_model(path_of(kind, run_dir, model_dir))
    [right] = model.predict(View(frame_mm, NYU, "right"))
    mirrored = mirror.mirror_depth(frame_mm), mirror.mirror_camera(NYU), "left"
    [left] = model.predict(View(*mirrored, center_mm=mirror.mirror_points(right.center_mm)))
    np.testing.assert_allclose(left.joints_mm, mirror.mirror_points(right.joints_mm), atol=1e-2)
    np.testing.assert_allclose(left.joints_uvd, mirror.mirror_uvd(right.joints_uvd, NYU.width), atol=1e-2)
    assert (left.side, right.side) == ("left", "right")


def test_the_highest_version_is_taken(copy_of_model, run_dir):
    versions = copy_of_model / "lsps"
    shutil.copytree(versions / "1", versions / "9")
    shutil.copytree(versions / "1", versions / "10")
    (versions / "11").mkdir()
    for number in ("1", "9"):
        shutil.rmtree(versions / number / "variables")
    assert open_model(versions).kind == open_model(copy_of_model).kind == "SavedModel"


DAMAGE_OF_SAVED_MODEL = {
    "graph cut": (lambda model: cut(model / "saved_model.pb", 0.5), "the SavedModel is damaged"),
    "graph empty": (lambda model: cut(model / "saved_model.pb", 0.0), "the SavedModel is damaged"),
    "graph is text": (lambda model: (model / "saved_model.pb").write_text("hello"), "the SavedModel is damaged"),
    "index cut": (lambda model: cut(model / "variables" / "variables.index", 0.5), "the SavedModel is damaged"),
    "weights cut": (
        lambda model: cut(next((model / "variables").glob("*.data*")), 0.5),
        "the SavedModel is damaged (Read less bytes than requested)",
    ),
    "weights missing": (lambda model: shutil.rmtree(model / "variables"), "the SavedModel is damaged"),
    "assets missing": (lambda model: shutil.rmtree(model / "assets"), "was not exported by export/run.py"),
    "description cut": (lambda model: cut(model / "assets" / "lsps.json", 0.5), "the model's description is damaged"),
    "no graph": (lambda model: (model / "saved_model.pb").unlink(), "this is no model; give a SavedModel folder"),
}


@pytest.mark.parametrize("name", DAMAGE_OF_SAVED_MODEL)
def test_a_damaged_saved_model_is_named(copy_of_model, name):
    damage, message = DAMAGE_OF_SAVED_MODEL[name]
    model = copy_of_model / "lsps" / "1"
    damage(model)
    with pytest.raises(InputError) as caught:
        open_model(model)
    assert message in str(caught.value) and str(model) in str(caught.value) and "\n" not in str(caught.value)


def change_description(model, old, new):
    path = model / "assets" / "lsps.json"
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 2', "made by version 2 of lsps-model, this program reads version 1"),
        ('"skeleton": "nyu"', '"skeleton": "octopus"', "the model's skeleton 'octopus' is unknown here"),
        ('"image_size": 32', '"image_size": "many"', "the model's description is damaged"),
    ],
)
def test_a_description_of_another_version_or_skeleton_is_named(copy_of_model, old, new, message):
    change_description(copy_of_model / "lsps" / "1", old, new)
    with pytest.raises(InputError) as caught:
        open_model(copy_of_model)
    assert message in str(caught.value)


def test_a_saved_model_of_another_program_is_named(tmp_path):
    module = tf.Module()
    module.call = tf.function(lambda x: x + 1.0, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"))
    with pytest.raises(InputError, match="was not exported by export/run"):
        open_model(tmp_path / "other")


def test_every_cut_of_a_tflite_file_is_named(copy_of_model):
    path = copy_of_model / "lsps.tflite"
    content = path.read_bytes()
    for length in [0, 3, *range(8, len(content), len(content) // 15), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"lsps\.tflite: ") as caught:
            open_model(path)
        assert "\n" not in str(caught.value)


def test_a_tflite_file_of_another_program_is_named(tmp_path):
    module = tf.Module()
    module.call = tf.function(lambda x: x + 1.0, input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module)
    (tmp_path / "other.tflite").write_bytes(converter.convert())
    with pytest.raises(InputError, match=r"other\.tflite: this TFLite model was not exported by export/run\.py"):
        open_model(tmp_path / "other.tflite")
    (tmp_path / "text.tflite").write_text("no model at all, but long enough")
    with pytest.raises(InputError, match=r"text\.tflite: this is no TFLite model"):
        open_model(tmp_path / "text.tflite")


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match="none: there is no such model; make one with: python export/run"):
        open_model(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: this is no model"):
        open_model(tmp_path / "empty")
