"""The signatures that generate, as functions and in an exported model, against the run's own networks."""

import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from export.exporting import export_command
from export.saved_model.generating import Generating
from export.saved_model.signatures import export_saved_model
from lsps_tf import generate, pose_codes
from lsps_tf.camera import NYU
from lsps_tf.networks import build_networks
from lsps_tf.predictor import predictor_of_run
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import Run, RunSettings, load_run, save_weights, weights_path
from lsps_tf.simulation import anatomy, kinematics
from lsps_tf.simulation.shape import canonical_shape

NEW = {"decode_pose", "generate", "encode", "encode_png", "encode_angles"}


@pytest.fixture(scope="module")
def run():
    """A run of preset tiny with weights drawn at random, without a folder."""
    config = PRESETS["tiny"].replace(num_joints=36)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    random = np.random.default_rng(0)
    for variable in networks.trainable_variables:
        variable.assign_add(random.normal(0.0, 0.05, variable.shape))
    return Run(pathlib.Path("runs/tiny"), RunSettings(config, "lsps", "nyu", "sim", "none.h5"), networks)


@pytest.fixture(scope="module")
def functions(run):
    """The functions that become signatures, before they are traced."""
    return {name: function for name, (function, _) in Generating(run).functions.items()}


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pose_codes, "POSES", 48)
        patch.setattr(pose_codes, "_PER_BATCH", 48)
        return export_saved_model(run, tmp_path_factory.mktemp("model"), explore=True)


@pytest.fixture(scope="module")
def signatures(folder):
    model = tf.saved_model.load(str(folder))
    yield model.signatures


@pytest.fixture(scope="module")
def codes(run):
    return np.random.default_rng(0).normal(size=(3, run.config.network.latent_size)).astype(np.float32)


def called(function, **inputs):
    return {name: value.numpy() for name, value in function(**inputs).items()}


def test_codes_become_the_networks_own_hands(run, functions, codes):
    made = called(functions["generate"], code=tf.constant(codes))
    expected = generate.hands_of_codes(run.networks, codes)
    np.testing.assert_allclose(made["synthetic"][..., 0], expected.synthetic, atol=1e-5)
    np.testing.assert_allclose(made["real"][..., 0], expected.real, atol=1e-5)
    np.testing.assert_allclose(made["joints_norm"], expected.joints_norm, atol=1e-5)
    alone = called(functions["decode_pose"], code=tf.constant(codes[:1]))
    np.testing.assert_allclose(alone["joints_norm"], expected.joints_norm[:1], atol=1e-5)


def test_crops_become_the_networks_own_codes_and_translations(run, functions):
    size = run.config.data.image_size
    image = tf.constant(np.random.default_rng(1).uniform(-1, 1, (2, size, size, 1)), tf.float32)
    made = called(functions["encode"], image=image)
    np.testing.assert_allclose(made["code"], generate.codes_of_images(run.networks, image, "real"), atol=1e-5)
    rows = generate.translations(run.networks, image.numpy(), "real")
    np.testing.assert_allclose(made["real"][..., 0], rows["real_reconstructed"], atol=1e-5)
    np.testing.assert_allclose(made["synthetic"][..., 0], rows["real_to_synthetic"], atol=1e-5)


def test_an_exported_model_generates_as_its_networks_do(run, signatures, codes):
    assert set(signatures) > NEW
    made, expected = (
        called(signatures["generate"], code=tf.constant(codes)),
        generate.hands_of_codes(run.networks, codes),
    )
    np.testing.assert_allclose(made["synthetic"][..., 0], expected.synthetic, atol=1e-5)
    np.testing.assert_allclose(made["real"][..., 0], expected.real, atol=1e-5)
    np.testing.assert_allclose(made["joints_norm"], expected.joints_norm, atol=1e-5)
    size = run.config.data.image_size
    image = tf.constant(np.random.default_rng(1).uniform(-1, 1, (2, size, size, 1)), tf.float32)
    code = called(signatures["encode"], image=image)["code"]
    np.testing.assert_allclose(code, generate.codes_of_images(run.networks, image, "real"), atol=1e-5)


def test_a_frame_gives_its_crop_with_its_joints(run, signatures, frame_mm):
    png = tf.io.encode_png(frame_mm.astype(np.uint16)[..., None]).numpy()
    intrinsics = NYU.intrinsics[None].astype(np.float32)
    made = called(
        signatures["encode_png"],
        depth_png_bytes=tf.constant([png]),
        intrinsics=tf.constant(intrinsics),
        depth_unit_mm=tf.constant([1.0]),
    )
    predictor = predictor_of_run(run)
    located = predictor.locate(tf.constant(frame_mm[None], tf.float32), tf.constant(intrinsics))
    image = predictor.crops.look(located).image
    np.testing.assert_allclose(made["image"], image, atol=1e-5)
    np.testing.assert_allclose(made["code"], generate.codes_of_images(run.networks, image, "real"), atol=1e-4)
    expected = predictor.predict(located, tf.constant(intrinsics))
    np.testing.assert_allclose(made["joints_mm"], expected["joints_mm"], atol=0.02)
    assert made["presence"].tolist() == [True]


def test_angles_become_the_code_of_that_hand(run, functions):
    angles, turn = np.zeros((2, anatomy.NUM_ANGLES), np.float32), np.zeros((2, 3), np.float32)
    # Beyond the limit the limit counts.
    angles[1] = 9.0
    made = called(functions["encode_angles"], angles=tf.constant(angles), turn=tf.constant(turn))
    limits = tf.constant(np.stack([angles[0], anatomy.ANGLE_LIMITS[:, 1]]))
    joints_mm = kinematics.pose_hand(limits, tf.eye(3, batch_shape=[2]), tf.zeros([2, 3]), canonical_shape()).joints_mm
    joints_norm = (joints_mm - tf.reduce_mean(joints_mm, axis=1, keepdims=True)) / 125.0
    np.testing.assert_allclose(made["code"], generate.codes_of_joints(run.networks, joints_norm), atol=1e-4)


def test_a_turn_turns_the_hand(run):
    """A quarter turn about the camera's axis, read off the joints that E_y is given."""
    seen = []
    generating = Generating(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.networks, "encode_pose", lambda joints: seen.append(joints.numpy()) or (joints, joints))
        zeros = tf.zeros([1, anatomy.NUM_ANGLES])
        for turn in ((0, 0, 0), (math.pi / 2, 0, 0)):
            generating.encode_angles(zeros, tf.constant([turn], tf.float32))
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(seen[1][0], seen[0][0] @ quarter.T, atol=1e-4)


def test_the_model_says_where_codes_of_hands_lie(run, folder):
    values = json.loads((folder / "assets" / "codes.json").read_text())
    size = run.config.network.latent_size
    assert len(values["mean"]) == len(values["names"]) == len(values["stddevs"]) == size
    assert np.shape(values["directions"]) == (size, size) and len(values["distances"]) == 101
    assert np.shape(values["known"]) == (48, size)
    flat = tf.zeros([1, anatomy.NUM_ANGLES])
    np.testing.assert_allclose(values["start"], Generating(run).encode_angles(flat, flat[:, :3])["code"][0], atol=1e-5)
    assert [angle["name"] for angle in values["angles"]] == list(anatomy.ANGLE_NAMES)
    np.testing.assert_allclose([angle["high"] for angle in values["angles"]], anatomy.ANGLE_LIMITS[:, 1])


def test_a_usual_export_does_not_generate(model_dir):
    model = tf.saved_model.load(str(model_dir / "lsps" / "1"))
    assert not NEW & set(model.signatures)
    assert not (model_dir / "lsps" / "1" / "assets" / "codes.json").exists()


def test_a_run_without_a_depth_stage_is_refused_before_anything_is_written(command, make_run, tmp_path):
    run = load_run(make_run(tmp_path / "run", method="real"))
    for variable in run.networks.mapping.variables:
        if len(variable.shape) == 1:
            variable.assign(0 * variable)
    save_weights(run.networks, weights_path(tmp_path / "run", run.settings.last_stage))
    arguments = ["--run-dir", tmp_path / "run", "--output", tmp_path / "out", "--explore"]
    status, _, errors = command(export_command, *arguments)
    assert status == 2 and "so M are untrained" in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()
