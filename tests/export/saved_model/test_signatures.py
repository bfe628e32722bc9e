"""The SavedModel's signatures: what they take, that they agree, and what they refuse."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export.exporting import sample_crops
from export.tflite.calibration import fit_confidence
from lsps_tf import mirror
from lsps_tf.camera import ICVL, NYU
from lsps_tf.predictor import predictor_of_run
from lsps_tf.skeleton import HAND21_FROM_NYU
from tests import two_hands
from tests.export.saved_model.calling import OUTPUTS, SIGNATURES, call
from training.evaluation.measure import predict_store

NOWHERE = np.full(3, np.nan, np.float32)


@pytest.fixture(scope="module")
def expected(run, frame_mm):
    outputs = predictor_of_run(run, fit_confidence(run))(frame_mm[None], NYU.intrinsics[None])
    return {name: value.numpy()[0] for name, value in outputs.items()}


def png(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG", **options)
    return file.getvalue()


def assert_same(outputs, row, expected):
    for name, value in expected.items():
        if name == "hand":
            assert outputs[name][row] == value
            continue
        atol = 1e-3 if name == "confidence" else 0.02
        np.testing.assert_allclose(outputs[name][row], value, atol=atol, err_msg=name)


def nyu_encoded(depth_mm):
    counts = depth_mm.astype(np.uint16)
    return np.stack([np.zeros_like(counts), counts >> 8, counts & 255], axis=-1).astype(np.uint8)


def test_signatures_have_their_inputs_and_a_free_batch(model):
    assert set(model.signatures) == set(SIGNATURES)
    for name, inputs in SIGNATURES.items():
        function = model.signatures[name]
        specs = function.structured_input_signature[1]
        assert set(specs) == inputs
        outputs = {"joints_norm", "confidence"} if name == "from_crop" else OUTPUTS
        assert set(function.structured_outputs) == outputs
        for spec in [*specs.values(), *function.structured_outputs.values()]:
            assert spec.shape.rank >= 1 and spec.shape[0] is None


def test_graphs_need_no_python(model):
    for name, function in model.signatures.items():
        library = function.graph.as_graph_def()
        operations = {node.op for graph in [library, *library.library.function] for node in _nodes(graph)}
        assert not {"PyFunc", "EagerPyFunc", "PyFuncStateless"} & operations, name


def _nodes(graph):
    return graph.node if hasattr(graph, "node") else graph.node_def


def test_encoded_and_decoded_frames_give_what_the_run_does(model, frame_mm, expected):
    assert_same(call(model, "from_depth", depth_mm=frame_mm[None], intrinsics=NYU.intrinsics[None]), 0, expected)
    counts = frame_mm.astype(np.uint16)
    contents = [png(counts), png(8 * counts), png(nyu_encoded(frame_mm)), png(counts, compress_level=0)]
    outputs = call(
        model,
        "serving_default",
        depth_png_bytes=contents,
        intrinsics=np.tile(NYU.intrinsics, (4, 1)),
        depth_unit_mm=[1.0, 0.125, 1.0, 1.0],
    )
    for row in range(4):
        assert_same(outputs, row, expected)
    np.testing.assert_array_equal(outputs["cube_mm"], [250.0] * 4)
    np.testing.assert_array_equal(outputs["joints21_mm"], outputs["joints_mm"][:, list(HAND21_FROM_NYU)])
    assert 0 <= outputs["confidence"].min() <= outputs["confidence"].max() <= 1


def test_frames_of_several_sizes_and_units_fit_one_batch(model, frame_mm):
    frames = [frame_mm.astype(np.uint16), frame_mm[::2, ::2].astype(np.uint16) * 4, np.full((40, 60), 9000, np.uint16)]
    half = ICVL.intrinsics
    inputs = {
        "depth_png_bytes": [png(frame) for frame in frames],
        "intrinsics": [NYU.intrinsics, half, half],
        "depth_unit_mm": [1.0, 0.25, 1.0],
    }
    together = call(model, "serving_default", **inputs)
    assert together["presence"].tolist() == [True, True, False]
    assert np.isnan(together["joints_mm"][2]).all() and (together["confidence"][2] == 0).all()
    for row in range(2):
        alone = call(model, "serving_default", **{name: value[row : row + 1] for name, value in inputs.items()})
        assert together["hand"][row] == alone.pop("hand")[0]
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][row], value[0], rtol=1e-4, atol=1e-3)


def test_a_given_center_is_used_and_nan_finds_it(model, run, frame_mm, expected):
    given = np.array([[210.0, -60.0, 765.0]], np.float32)
    confident = predictor_of_run(run, fit_confidence(run))
    around = {k: v.numpy()[0] for k, v in confident(frame_mm[None], NYU.intrinsics[None], tf.constant(given)).items()}
    content = png(frame_mm.astype(np.uint16))
    for signature, frames in {
        "serving_hinted": {"depth_png_bytes": [content] * 3, "depth_unit_mm": [1.0] * 3},
        "from_depth_hinted": {"depth_mm": np.repeat(frame_mm[None], 3, axis=0)},
    }.items():
        outputs = call(
            model,
            signature,
            **frames,
            intrinsics=np.tile(NYU.intrinsics, (3, 1)),
            center_mm=[NOWHERE, given[0], [-2000.0, 0.0, 900.0]],
            hand=["auto"] * 3,
        )
        assert_same(outputs, 0, expected)
        assert_same(outputs, 1, around)
        assert outputs["presence"].tolist() == [True, True, False]


def test_a_left_hand_is_a_right_one_in_a_mirror(model, run, frame_mm):
    mirrored = mirror.mirror_camera(NYU)
    frames_mm = np.stack([frame_mm[:, ::-1], frame_mm])
    confident = predictor_of_run(run, fit_confidence(run))
    outputs = confident(frame_mm[None], NYU.intrinsics[None], hand=tf.constant(["right"]))
    expected = {name: value.numpy()[0] for name, value in outputs.items() if name != "right_logit"}
    outputs = call(
        model,
        "from_depth_hinted",
        depth_mm=frames_mm,
        intrinsics=[mirrored.intrinsics, NYU.intrinsics],
        center_mm=[mirror.mirror_points(expected["center_mm"]), NOWHERE],
        hand=["left", "right"],
    )
    wanted = {
        **expected,
        "joints_mm": mirror.mirror_points(expected["joints_mm"]),
        "center_mm": mirror.mirror_points(expected["center_mm"]),
        "joints_uvd": mirror.mirror_uvd(expected["joints_uvd"], NYU.width),
    }
    assert_same(outputs, 0, {**wanted, "hand": b"left"})
    assert_same(outputs, 1, expected)


@pytest.fixture(scope="module")
def functions_of_two(run):
    """The signatures before they are saved, for up to three hands, with a finder that knows the frame of two."""
    from export.saved_model.signatures import Servable

    with pytest.MonkeyPatch.context() as patch:
        two_hands.know(patch)
        return Servable(run, predictor_of_run(run), [], 3).signatures_by_name


def test_several_hands_are_those_of_the_run(functions_of_two, run, monkeypatch):
    two_hands.know(monkeypatch)
    frame = two_hands.two_hands()
    depth_mm, intrinsics = np.stack([frame.depth_mm, 0 * frame.depth_mm]), np.tile(frame.camera.intrinsics, (2, 1))
    expected = predictor_of_run(run).predict_hands(depth_mm, intrinsics, 3)
    frames = {
        "from_depth_hands": {"depth_mm": tf.constant(depth_mm)},
        "serving_hands": {
            "depth_png_bytes": tf.constant([png(each.astype(np.uint16)) for each in depth_mm]),
            "depth_unit_mm": tf.ones(2),
        },
    }
    for name, inputs in frames.items():
        outputs = functions_of_two[name](intrinsics=tf.constant(intrinsics), hand=tf.constant(["auto"] * 2), **inputs)
        assert set(outputs) == OUTPUTS - {"confidence"}
        assert outputs["hand"].numpy().tolist() == [[b"right", b"left", b""], [b""] * 3]
        for what in ("joints_mm", "joints_uvd", "center_mm", "right_logit", "presence"):
            np.testing.assert_allclose(outputs[what], expected[what], atol=0.02, err_msg=what)
        np.testing.assert_array_equal(outputs["joints21_mm"], outputs["joints_mm"].numpy()[:, :, list(HAND21_FROM_NYU)])
        np.testing.assert_array_equal(outputs["cube_mm"], [250.0] * 2)
        said = functions_of_two[name](intrinsics=tf.constant(intrinsics), hand=tf.constant(["left"] * 2), **inputs)
        assert said["hand"].numpy().tolist() == [[b"left", b"left", b""], [b""] * 3]


def test_of_one_hand_the_side_is_told_or_said(functions_of_two):
    frame = two_hands.two_hands()
    inputs = {"depth_mm": tf.constant(frame.depth_mm[None]), "intrinsics": tf.constant(frame.camera.intrinsics[None])}
    nearest = functions_of_two["from_depth"](**inputs)
    assert nearest["hand"].numpy()[0] == b"right"
    np.testing.assert_allclose(nearest["right_logit"], two_hands.RIGHT_LOGITS[:1], rtol=1e-6)
    hinted = functions_of_two["from_depth_hinted"]
    for center_mm, hand, expected in [
        (NOWHERE, "auto", b"right"),
        (NOWHERE, "left", b"left"),
        (frame.centers_mm[1], "auto", b"left"),
        (frame.centers_mm[1], "right", b"right"),
    ]:
        outputs = hinted(**inputs, center_mm=tf.constant(center_mm[None]), hand=tf.constant([hand]))
        assert outputs["hand"].numpy()[0] == expected


def test_signatures_of_several_hands_say_how_many(model, model_dir):
    for name in ("serving_hands", "from_depth_hands"):
        outputs = model.signatures[name].structured_outputs
        assert outputs["joints_mm"].shape.as_list() == [None, 4, 36, 3]
        assert outputs["presence"].shape.as_list() == [None, 4] and outputs["cube_mm"].shape.as_list() == [None]
    values = json.loads((model_dir / "lsps" / "1" / "assets" / "lsps.json").read_text())
    assert values["hands"] == 4


def test_pixels_marked_in_another_way_count_as_no_reading(model, frame_mm, expected):
    marked = np.where(frame_mm > 0, frame_mm, np.random.default_rng(0).choice([0, -1, np.nan, np.inf], frame_mm.shape))
    assert_same(call(model, "from_depth", depth_mm=marked[None], intrinsics=NYU.intrinsics[None]), 0, expected)


def test_figures_are_those_of_evaluate(model, run):
    """The network of the SavedModel on the store's test frames gives evaluate.py's very joints."""
    from export.tflite.calibration import labelled_crops
    from lsps_tf.datasets.store import open_store

    predictions = predict_store(run, "test")
    crops = labelled_crops(run, ("real/test",))
    joints_norm = call(model, "from_crop", image=crops.images)["joints_norm"]
    with open_store(run.store_path) as store:
        center_mm = store.column("real/test", "center_mm")
    joints_mm = joints_norm * crops.half_mm[:, None, None] + center_mm[:, None]
    assert len(joints_mm) == len(predictions.rows) > 4
    np.testing.assert_allclose(joints_mm, predictions.predicted_mm, atol=1e-3)


def test_crops_give_the_networks_joints(model, run):
    images = sample_crops(32, 250.0, 5)
    outputs = call(model, "from_crop", image=images)
    np.testing.assert_allclose(outputs["joints_norm"], run.networks.predict_joints(images, run.domain), atol=1e-5)
    assert outputs["confidence"].shape == (5, 36)


def cut(content):
    return content[: len(content) // 2]


REFUSED = {
    "no PNG": ({"depth_png_bytes": [b"no PNG at all, but long enough to look into"]}, "PNG"),
    "a cut PNG": ({"depth_png_bytes": [cut(png(np.full((64, 64), 700, np.uint16)))]}, "PNG"),
    "an 8-bit picture": ({"depth_png_bytes": [png(np.full((64, 64), 70, np.uint8))]}, "this PNG is a picture"),
    "a picture with alpha": ({"depth_png_bytes": [png(np.full((64, 64, 4), 9, np.uint8))]}, "this PNG is a picture"),
    "a tiny frame": ({"depth_png_bytes": [png(np.full((16, 64), 700, np.uint16))]}, "at least 32 pixels"),
    "no focal length": ({"intrinsics": [[0.0, 500.0, 32.0, 32.0]]}, "intrinsics: fx, fy, cx, cy must be finite"),
    "NaN in a camera": ({"intrinsics": [[500.0, 500.0, np.nan, 32.0]]}, "intrinsics: fx, fy, cx, cy must be finite"),
    "no unit": ({"depth_unit_mm": [0.0]}, "depth_unit_mm: the mm of one count must be more than 0"),
    "NaN as unit": ({"depth_unit_mm": [np.nan]}, "depth_unit_mm"),
    "half a centre": ({"center_mm": [[1.0, np.nan, 600.0]]}, "center_mm: x, y, z must be finite"),
    "a centre behind": ({"center_mm": [[1.0, 2.0, -600.0]]}, "center_mm: x, y, z must be finite"),
    "a third hand": ({"hand": ["middle"]}, "hand: it must be right, left or auto"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_inputs_are_refused_with_a_reason(model, name):
    changed, message = REFUSED[name]
    inputs = {
        "depth_png_bytes": [png(np.full((64, 64), 700, np.uint16))],
        "intrinsics": [[500.0, 500.0, 32.0, 32.0]],
        "depth_unit_mm": [1.0],
        "center_mm": [NOWHERE],
        "hand": ["right"],
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(model, "serving_hinted", **{**inputs, **changed})


def test_a_run_without_labels_anywhere_has_no_confidence(run):
    from export.saved_model.signatures import Servable

    signatures = Servable(run, predictor_of_run(run), []).signatures_by_name
    assert set(signatures["from_depth"].structured_outputs) == OUTPUTS - {"confidence"}
    assert set(signatures["from_crop"].structured_outputs) == {"joints_norm"}
