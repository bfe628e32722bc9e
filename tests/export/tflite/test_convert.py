"""The four kinds of TFLite files: what they hold, and how far from the run's numbers they are."""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export.exporting import export_command, sample_crops
from export.tflite.calibration import calibration_images, fit_confidence
from export.tflite.convert import export_tflite
from lsps_tf import mirror
from lsps_tf.camera import NYU as NYU_CAMERA
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.device.predictor import EdgePredictor
from lsps_tf.errors import InputError
from lsps_tf.model_info import VARIANTS, ModelInfo, embed_info, read_tflite_info, tflite_name
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import load_run
from lsps_tf.skeleton import NYU
from tests.conftest import write_run

# Mean distance in half cubes that rounding may move the joints of a network drawn at random.
ALLOWED = {"float32": 1e-6, "float16": 2e-3, "dynamic": 6e-2, "int8": 8e-2}


@pytest.fixture(scope="module")
def run(run_dir):
    return load_run(run_dir)


def operations(path):
    model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    (graph,) = model.subgraphs
    return [names[model.operatorCodes[operator.opcodeIndex].builtinCode] for operator in graph.operators], graph


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_holds_built_in_operations_and_its_description(model_dir, variant):
    path = model_dir / tflite_name(variant)
    used, _ = operations(path)
    assert "CONV_2D" in used and not {"CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"} & set(used)
    assert not [name for name in used if "FLEX" in name or "RESIZE" in name]
    assert read_tflite_info(path) == ModelInfo(NYU, 32, 250.0, variant)
    interpreter = Interpreter(model_path=str(path))
    (tensor,) = interpreter.get_input_details()
    assert tensor["shape"].tolist() == [1, 32, 32, 1]
    assert tensor["dtype"] == (np.int8 if variant == "int8" else np.float32)
    signature = interpreter.get_signature_list()["serving_default"]
    outputs = {"joints_norm"} if variant == "int8" else {"joints_norm", "confidence"}
    assert (signature["inputs"], set(signature["outputs"])) == (["image"], outputs)


def test_the_description_says_names_units_and_normalization(model_dir):
    content = (model_dir / tflite_name("int8")).read_bytes()
    text = content[content.index(b'{\n  "format": "lsps-model"') :]
    values = json.JSONDecoder().raw_decode(text.decode("utf-8", "ignore"))[0]
    assert values["joint_names"] == list(NYU.joint_names) and values["bones"] == [list(bone) for bone in NYU.bones]
    assert values["units"]["image"].startswith("[B, S, S, 1] crop in [-1, 1]: (depth_mm - center z) / (cube_mm / 2)")
    assert values["units"]["joints_norm"].endswith("(joints_mm - center_mm) / (cube_mm / 2)")


def test_an_integer_file_computes_with_integers_alone(model_dir):
    used, graph = operations(model_dir / tflite_name("int8"))
    kinds = {tensor.type for tensor in graph.tensors}
    assert kinds <= {schema.TensorType.INT8, schema.TensorType.INT32}, kinds
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(used)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rounding_moves_joints_little(run, model_dir, variant):
    images = sample_crops(32, 250.0, 6)
    expected = run.networks.predict_joints(images, run.domain).numpy()
    network = TfliteNetwork(model_dir / tflite_name(variant))
    difference = np.stack([network(image)[0] for image in images.numpy()]) - expected
    assert np.linalg.norm(difference, axis=-1).mean() <= ALLOWED[variant] < 0.5 * expected.std(axis=0).max()


def test_the_confidence_is_the_run_s(run, model_dir):
    images = sample_crops(32, 250.0, 4)
    expected = predictor_of_run(run, fit_confidence(run)).crops.predict(images)["confidence"].numpy()
    for variant, allowed in {"float32": 1e-4, "float16": 0.02, "dynamic": 0.2}.items():
        network = TfliteNetwork(model_dir / tflite_name(variant))
        confidence = np.stack([network(image)[1] for image in images.numpy()])
        assert confidence.shape == (4, 36) and np.abs(confidence - expected).mean() < allowed, variant
    assert TfliteNetwork(model_dir / tflite_name("int8"))(images.numpy()[0])[1] is None


def test_smaller_numbers_make_smaller_files(run, tmp_path):
    wide = {variant: (tmp_path / tflite_name(variant)) for variant in VARIANTS}
    images = np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 1)).astype(np.float32)
    assert export_tflite(run, tmp_path, VARIANTS, images) == list(wide.values())
    info = len(ModelInfo.of_run(run).to_json())
    sizes = {variant: path.stat().st_size - info for variant, path in wide.items()}
    assert sizes["float32"] > 1.2 * sizes["float16"] and sizes["float32"] > 1.2 * sizes["int8"]


def test_calibration_takes_the_store_s_sensor_frames_as_the_network_sees_them(run, hands_store):
    images = calibration_images(run, count=5)
    assert images.shape == (5, 32, 32, 1) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() == 1 and 0.02 < (images < 1).mean() < 0.6
    np.testing.assert_array_equal(images, calibration_images(run, hands_store, count=5))


def test_without_frames_of_the_sensor_int8_is_refused(command, run_dir, tmp_path):
    arguments = ["--run-dir", run_dir, "--output", tmp_path / "out"]
    for options, message in [
        (["--calibrate", tmp_path / "none.h5"], "none.h5: there is no such store"),
        (["--variants", "float32,int4"], "--variants: there is no 'int4'; choose from float32, float16, dynamic, int8"),
    ]:
        status, out, err = command(export_command, *arguments, *options)
        assert (status, out) == (2, "") and err.count("\n") == 1 and message in err
    assert not (tmp_path / "out").exists()


def test_a_recorded_run_without_its_store_says_what_to_do(run, tmp_path):
    import dataclasses

    settings = dataclasses.replace(run.settings, store=str(tmp_path / "gone.h5"), sensor="")
    with pytest.raises(InputError, match=r"gone\.h5 is gone; give one with --calibrate STORE\.h5, or leave int8 out"):
        calibration_images(dataclasses.replace(run, settings=settings))


def test_a_description_can_be_added_to_any_model_and_read_back(model_dir, tmp_path):
    info = ModelInfo(NYU, 96, 310.5, "float16")
    path = tmp_path / "a.tflite"
    path.write_bytes(embed_info(embed_info((model_dir / tflite_name("float32")).read_bytes(), info), info))
    assert read_tflite_info(path).skeleton.name == "nyu"
    Interpreter(model_path=str(path)).allocate_tensors()


@pytest.fixture(scope="module", params=[1, 3], ids=["once", "turned"])
def voting_run(tmp_path_factory, hands_store, request):
    folder = tmp_path_factory.mktemp("voting")
    options = {"discriminator_repeats": 1, "vote_widths": (6, 5), "turns": request.param}
    return load_run(write_run(folder, str(hands_store), **options))


@pytest.fixture(scope="module")
def voting_images(voting_run):
    return calibration_images(voting_run)


@pytest.fixture(scope="module")
def voting_paths(voting_run, voting_images, tmp_path_factory):
    return dict(zip(VARIANTS, export_tflite(voting_run, tmp_path_factory.mktemp("files"), VARIANTS, voting_images)))


@pytest.mark.parametrize(
    ("variant", "allowed"), [("float32", 1e-5), ("float16", 2e-3), ("dynamic", 2e-2), ("int8", 3e-2)]
)
def test_a_voting_network_s_files_give_its_joints(voting_run, voting_images, voting_paths, variant, allowed):
    expected = voting_run.networks.predict_joints(voting_images, voting_run.domain).numpy()
    network = TfliteNetwork(voting_paths[variant])
    difference = np.stack([network(image)[0] for image in voting_images]) - expected
    assert np.linalg.norm(difference, axis=-1).mean() <= allowed < np.linalg.norm(expected.std(axis=0), axis=-1).mean()


def test_looks_that_a_file_tells_apart_add_up(voting_run, voting_images, voting_paths):
    networks, domain = voting_run.networks, voting_run.domain
    signatures = {
        variant: set(Interpreter(model_path=str(path)).get_signature_list()) for variant, path in voting_paths.items()
    }
    assert signatures["int8"] == {"serving_default"}
    network = TfliteNetwork(voting_paths["float32"])
    if voting_run.config.network.turns == 1:
        assert signatures["float32"] == {"serving_default"} and network.first_look(voting_images[0]) is None
        return
    assert signatures["float32"] == signatures["float16"] == {"serving_default", "turn_first", "turn_others"}
    # Programs that name no signature run all turns.
    model = schema.ModelT.InitFromPackedBuf(bytearray(voting_paths["float32"].read_bytes()), 0)
    assert {each.signatureKey: each.subgraphIndex for each in model.signatureDefs}[b"serving_default"] == 0
    once = networks.decode_pose(networks.predict_once(voting_images, domain)).numpy()
    for image, expected in zip(voting_images[:8], once):
        first = network.first_look(image)
        np.testing.assert_allclose(first, expected, atol=1e-4)
        np.testing.assert_allclose(network.other_looks(image, first)[0], network(image)[0], atol=1e-5)
        moved = network.other_looks(image, first + 0.3)[0]
        assert np.abs(moved - network(image)[0]).max() > 1e-3


@pytest.mark.parametrize("near", [0.0, 1e9], ids=["first look", "all looks"])
def test_the_side_is_told_by_looks_as_tensorflow_tells_it(voting_run, voting_paths, frame_mm, near, monkeypatch):
    """Of a frame and its mirror image, from the first look at both sides, and from all looks."""
    monkeypatch.setattr("lsps_tf.hand.NEAR_VERGE", near)
    monkeypatch.setattr("lsps_tf.hand.FIT_SHARE", 3000.0)
    graph, device = predictor_of_run(voting_run), EdgePredictor(voting_paths["float32"])
    middle_mm, sides = np.array([210.0, -60.0, 765.0], np.float32), set()
    mirrored = (
        np.ascontiguousarray(frame_mm[:, ::-1]),
        mirror.mirror_camera(NYU_CAMERA),
        mirror.mirror_points(middle_mm),
    )
    for depth_mm, camera, center_mm in ((frame_mm, NYU_CAMERA, middle_mm), mirrored):
        expected = graph(depth_mm[None], camera.intrinsics[None], center_mm[None])
        hand = device(depth_mm, camera, center_mm)
        assert hand.side.encode() == expected["hand"][0]
        assert hand.right_logit == pytest.approx(float(expected["right_logit"][0]), rel=0.01, abs=0.05)
        np.testing.assert_allclose(hand.joints_mm, expected["joints_mm"][0], atol=0.02)
        sides.add(hand.side)
    assert sides == {"right", "left"}


def test_a_voting_network_s_integer_file_computes_with_integers_alone(voting_paths):
    model = schema.ModelT.InitFromPackedBuf(bytearray(voting_paths["int8"].read_bytes()), 0)
    (graph,) = model.subgraphs
    kinds = {tensor.type for tensor in graph.tensors}
    assert kinds <= {schema.TensorType.INT8, schema.TensorType.INT32}, kinds
    (tensor,) = Interpreter(model_path=str(voting_paths["int8"])).get_input_details()
    scale, zero = tensor["quantization"]
    # The background is within a step of the greatest number, and the nearest readings are not cut off.
    assert tensor["dtype"] == np.int8 and abs((127 - zero) * scale - 1.0) <= scale <= 2 / 254
