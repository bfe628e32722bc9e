"""The baseline without simulation: what its terms reach, its step against a composition by hand, and a run of it."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf import run_folder
from lsps_tf.config import LossWeights
from lsps_tf.errors import InputError
from lsps_tf.pipeline import build_pipeline
from training.session import run_session
from training.stages.crossing_nets import REAL, CrossingDepthStage, CrossingPosteriorStage, mix_poses

REAL_DEPTH = {"E", "E_r", "G", "G_r", "M", "D", "D_r", "P", "head"}


@pytest.fixture
def real_batch(batch):
    return {name: part for name, part in batch.items() if name != "synthetic"}


def sgd(count):
    return [keras.optimizers.legacy.SGD(1e-2) for _ in range(count)]


def test_mixed_poses_lie_between_two_labelled_ones():
    pose = tf.constant(np.random.default_rng(0).normal(size=(5, 20)), tf.float32)
    mixed = mix_poses(pose, tf.constant([1, 2])).numpy()
    after = np.roll(pose.numpy(), 1, axis=0)
    share = ((mixed - after) / (pose.numpy() - after)).mean(axis=1, keepdims=True)
    assert ((share > 0) & (share < 1)).all() and share.std() > 0.1
    np.testing.assert_allclose(mixed, share * pose.numpy() + (1 - share) * after, atol=1e-5)


def test_a_depth_step_moves_the_real_domain_alone(networks, real_batch, moved_by, eagerly):
    stage = CrossingDepthStage(networks, LossWeights())
    stage.compile(*sgd(2))
    assert moved_by(lambda: stage.train_step(real_batch)) == REAL_DEPTH


def test_terms_reach_the_networks_of_their_player(networks, real_batch, reached_by):
    stage = CrossingDepthStage(networks, LossWeights())
    with tf.GradientTape(persistent=True) as tape:
        outputs = stage.forward(real_batch)
        verdicts = stage.discriminate(outputs)
        generator, discriminator = (
            stage.generator_terms(outputs, verdicts),
            stage.discriminator_terms(outputs, verdicts),
        )
    made = {"M", "G_y", "G", "G_r"}
    assert reached_by(tape, generator["eq3_vae_real_nll"]) == {"E", "E_r", "G", "G_r"}
    assert reached_by(tape, generator["eq6_mapping_real_nll"]) == made
    assert reached_by(tape, generator["eq4_gan_real_generator"]) == {*made, "D", "D_r", "head"}
    assert reached_by(tape, discriminator["eq7_posterior_real_regression"]) == {"D", "D_r", "P"}
    assert reached_by(tape, discriminator["eq7_posterior_mixed_regression"]) == {*made, "D", "D_r", "P"}


def test_terms_are_those_of_the_networks_one_by_one(networks, real_batch):
    stage = CrossingDepthStage(networks, LossWeights())
    outputs = stage.forward(real_batch)
    verdicts = stage.discriminate(outputs)
    terms = {**stage.generator_terms(outputs, verdicts), **stage.discriminator_terms(outputs, verdicts)}
    encoder, generator, judge = (
        part[REAL] for part in (networks.encoders, networks.generators, networks.discriminators)
    )
    image = {name: real_batch[name]["image"] for name in ("real", "labelled")}
    pose, mixed = (outputs["pose_latent"][name] for name in ("labelled", "mixed"))
    rendered, invented = (generator(networks.mapping(latent)) for latent in (pose, mixed))
    softplus = lambda x: np.mean(np.logaddexp(0, x))  # noqa: E731
    mean = encoder(image["real"]).numpy()
    expected = {
        "eq3_vae_real_kl": np.mean(0.5 * mean**2),
        "eq3_vae_real_nll": np.log(2) + np.mean(np.abs(generator(outputs["latent"]["real"]) - image["real"])),
        "eq6_mapping_real_nll": np.log(2) + np.mean(np.abs(rendered - image["labelled"])),
        "eq6_mapping_real_generator": softplus(-judge(rendered)),
        "eq4_gan_real_generator": softplus(-judge(invented)),
        "eq4_gan_real_discriminator": softplus(-judge(image["real"])) + softplus(judge(invented)),
        "eq6_mapping_real_discriminator": softplus(judge(rendered)),
    }
    for name, made, latent in (("real", image["labelled"], pose), ("mixed", invented, mixed)):
        error = networks.predict_latent(made, REAL) - latent
        expected[f"eq7_posterior_{name}_regression"] = np.mean(np.sum(np.square(error), axis=1))
    assert set(terms) == {*expected, "eq6_mapping_real_distance"}
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name].value, value, rtol=2e-4, err_msg=name)


def test_the_posterior_step_regresses_labelled_and_generated_images(networks, real_batch, moved_by, eagerly):
    stage = CrossingPosteriorStage(networks, LossWeights(), generated=1)
    image, target = stage.frozen_forward(real_batch)
    assert image.shape == (3, 32, 32, 1) and target.shape == (3, 20)
    np.testing.assert_array_equal(image[:2], real_batch["labelled"]["image"])
    made = networks.generators[REAL](networks.mapping(target[2:]))
    np.testing.assert_allclose(image[2:], made, atol=1e-5)
    stage.compile(*sgd(1))
    logs = {}
    assert moved_by(lambda: logs.update(stage.train_step(real_batch))) == {"D", "D_r", "P"}
    assert float(logs["eq8_posterior"]) == pytest.approx(10 * float(logs["eq7_posterior_real_regression"]), rel=1e-5)


def test_a_run_without_simulation_learns_from_real_frames_alone(arguments, tmp_path, eagerly, monkeypatch):
    read = []

    def build(store, streams, *rest):
        read.extend(stream.split for stream in streams.values())
        return build_pipeline(store, streams, *rest)

    monkeypatch.setattr("training.loop.build_pipeline", build)
    few = ["--pose-steps", "2", "--depth-steps", "1", "--posterior-steps", "1"]
    command = [*arguments, *few, "--method", "crossing-nets", "--labels", "0.5", "--run-dir", str(tmp_path)]
    assert run_session(command) == 0
    assert set(read) == {"real/train"}
    run = run_folder.load_run(tmp_path)
    assert run.domain == "real" and run.settings.stages == ("pose", "depth", "posterior")
    assert [json.loads(line)["stage"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        *("pose", "depth", "posterior")
    ]
    with pytest.raises(InputError, match="--labels 0: --method crossing-nets trains on real labels alone"):
        run_session([*arguments, "--method", "crossing-nets", "--labels", "0"])
