"""docs/extending.md, tried: its code runs as it stands, and does what the page says of it."""

import dataclasses
import pathlib
import re
import sys
import textwrap
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsps_tf import run_folder
from lsps_tf.camera import uvd_to_mm
from lsps_tf.config import LossWeights
from lsps_tf.datasets.simulated import ensure_store
from lsps_tf.datasets.simulator import Simulation
from lsps_tf.datasets.store import open_store
from lsps_tf.networks import build, build_networks
from lsps_tf.simulation import sensor
from tests.datasets.official_trees import draw_frame, random_labels
from tests.training.conftest import TINY
from training import methods, plan
from training.data import public, table
from training.session import run_session
from training.stages.pose import PoseStage
from training.stages.regression import RegressionStage

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "extending.md"
FRAMES = {"synthetic/train": 8, "real/train": 8, "real/validation": 2, "real/test": 2}
FEW = ["--pose-steps", "2", "--posterior-steps", "2"]


@pytest.fixture
def code(monkeypatch):
    """The code of a section of the page, run as one module."""

    def run(heading):
        section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
        module = types.ModuleType("extending_" + heading.replace(" ", "_").lower())
        monkeypatch.setitem(sys.modules, module.__name__, module)
        lines = re.findall(r"^(?: {4}.*)?$", section, re.MULTILINE)
        exec(compile(textwrap.dedent("\n".join(lines)), str(PAGE), "exec"), module.__dict__)
        return module

    return run


def _write_toy_dataset(folder, view):
    labels_mm = {}
    for part, count in (("train", 8), ("test", 2)):
        joints_uvd = random_labels(count, 36, view, 500.0, seed=count)
        (folder / part).mkdir(parents=True)
        for row, joints in enumerate(joints_uvd):
            Image.fromarray(draw_frame(joints, view, 0)).save(folder / part / f"{row:04d}.png")
        labels_mm[part] = uvd_to_mm(joints_uvd, view.intrinsics.astype(np.float64))
        np.save(folder / part / "joints_mm.npy", labels_mm[part])
    return labels_mm


def test_a_dataset_is_one_file_and_one_row(code, tmp_path, monkeypatch, eagerly):
    dataset = code("A dataset").DATASET
    monkeypatch.setitem(table.PUBLIC, dataset.name, dataset)
    monkeypatch.setitem(table.DATASETS, dataset.name, public.public_source(dataset))
    labels_mm = _write_toy_dataset(tmp_path / "toy", dataset.camera)
    options = ["--preset", "tiny", "--sim-synthetic-frames", "4", "--workers", "0", "--method", "real", *FEW]
    run_dir = tmp_path / "run"
    data = ["--dataset", "toy", "--data-root", str(tmp_path / "toy")]
    assert run_session([*data, *options, "--run-dir", str(run_dir)]) == 0
    with open_store(run_folder.read_settings(run_dir).store) as store:
        assert store.splits() == {
            "synthetic/train": 4,
            "real/train": 7,
            "real/validation": 1,
            "real/test": 2,
        }
        np.testing.assert_allclose(store.column("real/test", "joints_mm"), labels_mm["test"], atol=1e-3)
    np.testing.assert_allclose(
        uvd_to_mm(dataset.test_labels(tmp_path / "toy"), dataset.camera.intrinsics)[..., 2],
        labels_mm["test"][..., 2],
        atol=1e-3,
    )


def test_a_sensor_is_one_file_and_one_row(code, tmp_path, monkeypatch, eagerly):
    toy = code("A sensor").Toy()
    monkeypatch.setitem(sensor.SENSORS, "toy", toy)
    clean = tf.concat([tf.fill([1, 100, 50], 500.0), tf.zeros([1, 100, 50])], axis=2)
    seen = sensor.apply_sensor("toy", clean, 1.0, [3, 4]).numpy()
    assert np.std(seen[clean > 0]) == pytest.approx(toy.noise_mm, rel=0.05)
    assert not seen[clean == 0].any()
    np.testing.assert_array_equal(seen, sensor.apply_sensor("toy", clean, 1.0, [3, 4]))
    path = ensure_store(Simulation("toy", "nyu", TINY.data.image_size, TINY.data.cube_mm), tmp_path, FRAMES)
    with open_store(path) as store:
        assert store.info.camera == toy.camera
        assert {split: store.count(split) for split in FRAMES} == FRAMES
        distance_mm = store.column("real/train", "center_mm")[:, 2]
    assert (distance_mm > toy.distance_mm[0] - 50).all() and (distance_mm < toy.distance_mm[1] + 50).all()


def test_a_loss_term_is_one_function_and_one_lambda(code, networks, batch, moved_by):
    prior_loss = code("A loss term").prior_loss
    predicted = tf.constant([[1.0, 2.0], [0.0, -3.0]])
    assert float(prior_loss(predicted).value) == pytest.approx((0.5 * (1 + 4) + 0.5 * 9) / 2)

    @dataclasses.dataclass(frozen=True)
    class Weights(LossWeights):
        lambda_prior: float = 0.25

    class WithPrior(RegressionStage):
        def loss_terms(self, outputs):
            terms = super().loss_terms(outputs)
            terms["eq7_posterior_prior"] = prior_loss(outputs["predicted"])
            return terms

    stage = WithPrior(networks, Weights(lambda_7=0.0), "real")
    stage.compile(tf.keras.optimizers.legacy.SGD(1e-3))
    logged = {}
    assert "P" in moved_by(lambda: logged.update(stage.train_step(batch)))
    assert float(logged["eq7_posterior"]) == pytest.approx(0.25 * float(logged["eq7_posterior_prior"]), rel=1e-5)


def test_a_method_is_one_file_and_one_row(code, data_root, tmp_path, monkeypatch, eagerly):
    module = code("A method")
    monkeypatch.setattr(plan, "build_toy", module.build_toy, raising=False)
    monkeypatch.setitem(methods.METHODS, module.TOY.name, module.TOY)
    frames = ["--sim-synthetic-frames", "24", "--sim-real-frames", "24", "--sim-test-frames", "6"]
    run_dir = tmp_path / "run"
    options = ["--dataset", "sim", "--data-root", str(data_root), "--preset", "tiny", *frames, *FEW, "--method", "toy"]
    assert run_session([*options, "--run-dir", str(run_dir)]) == 0
    run = run_folder.load_run(run_dir)
    assert run.settings.stages == ("pose", "toy")
    assert run.settings.labels == 1.0
    assert run.networks.predict_joints(tf.zeros([1, 32, 32, 1]), run.domain).shape == (1, 36, 3)
    before = build_networks(TINY.network, TINY.data.image_size, TINY.training.seed)
    for old, new in zip(before.posterior_variables("real"), run.networks.posterior_variables("real")):
        assert not np.array_equal(old, new), new.name


def test_a_network_is_one_file_and_one_attribute(code, batch, tmp_path, monkeypatch):
    decoder = code("A network").LinearDecoder

    class WithLinearDecoder(build.Networks):
        def __init__(self, config, image_size, seed):
            super().__init__(config, image_size, seed)
            self.pose_decoder = decoder(config.num_joints, seed)

    monkeypatch.setattr(build, "Networks", WithLinearDecoder)
    networks, again = (build_networks(TINY.network, TINY.data.image_size, seed=1) for _ in range(2))
    kernel, bias = networks.pose_decoder.variables
    assert (kernel.shape, bias.shape) == ((TINY.network.pose_latent, 108), (108,))
    np.testing.assert_array_equal(kernel, again.pose_decoder.variables[0])
    latent = tf.random.stateless_normal([2, TINY.network.pose_latent], [0, 1])
    np.testing.assert_allclose(networks.decode_pose(latent), (latent @ kernel).numpy().reshape(2, 36, 3), atol=1e-5)

    stage = PoseStage(networks, TINY.weights)
    stage.compile(tf.keras.optimizers.legacy.SGD(1e-3))
    stage.train_step(batch)
    assert not np.array_equal(kernel, again.pose_decoder.variables[0])
    run_folder.save_weights(networks, tmp_path / "weights.h5")
    run_folder.load_weights(again, tmp_path / "weights.h5")
    np.testing.assert_array_equal(kernel, again.pose_decoder.variables[0])
    assert networks.pose_decoder.output_layer in networks.deployed_layers("real")
