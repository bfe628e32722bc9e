"""The chain of the latent space: each figure against a loop over hands, what is left out, what cannot be measured."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import latent_space as benchmark
from lsps_tf import crop, run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.networks import build_networks
from training.evaluation.latent_runs import held_out_hands, load_latent_run, load_reader
from training.evaluation.latent_space import LINKS, ORACLE, REAL, SYNTHETIC, Chain, format_links, measure_links


def changed_run(source, folder, **changes):
    """A copy of a run with other settings; `config` changes settings of the networks and the data."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("checkpoints", "tensorboard", "pictures"))
    settings = run_folder.read_settings(folder)
    config = settings.config.replace(**changes.pop("config", {}))
    run_folder.write_settings(folder, dataclasses.replace(settings, config=config, **changes))
    return folder


@pytest.fixture(scope="module")
def readers(finished_run, tmp_path_factory):
    """Folders of the three readers: copies of the run, one of which reads synthetic frames."""
    root = tmp_path_factory.mktemp("readers")
    return {
        SYNTHETIC: changed_run(finished_run, root / "synthetic", method="synthetic-only", domain="synthetic"),
        REAL: changed_run(finished_run, root / "real", method="real"),
        ORACLE: changed_run(finished_run, root / "oracle", method="synthetic-only", domain="synthetic"),
    }


@pytest.fixture(scope="module")
def chain(finished_run, readers):
    run, stage = load_latent_run(finished_run)
    assert stage == "posterior"
    with open_store(run.store_path) as store:
        hands = held_out_hands(run, store, "validation", 4)
    loaded = {name: run_folder.load_run(folder) for name, folder in readers.items()}
    # Other weights than the run's own P, so that a mixed-up reader shows.
    for number, reader in enumerate(loaded.values()):
        for variable in reader.networks.posterior.variables:
            variable.assign(variable * (1.5 + number))
    return Chain(run, hands, loaded, True)


@pytest.fixture(scope="module")
def figures(chain):
    return measure_links(chain)


def test_hands_are_held_out_and_lie_in_their_crops(chain, store_path):
    assert {domain: part.split for domain, part in chain.hands.items()} == {
        "real": "real/validation",
        "synthetic": "synthetic/validation",
    }
    with open_store(store_path) as store:
        assert not store.count("synthetic/validation")  # so the simulator made them
        seen, frames = store.column("synthetic/train", "joints_mm"), store.read("real/validation", np.array([0, 5]))
    for part in chain.hands.values():
        assert part.image.shape == (4, 32, 32) and part.joints.shape == (4, 36, 3)
        assert np.abs(part.joints).mean() < 0.6 and (part.image < 1).mean() > 0.05
    hands = chain.hands["synthetic"]
    joints_mm = crop.denormalize_joints(hands.joints, hands.center_mm, hands.cube_mm).numpy()
    assert np.abs(joints_mm[:, None] - seen[None]).mean(axis=(2, 3)).min() > 1.0
    np.testing.assert_array_equal(chain.hands["real"].center_mm[[0, 3]], frames["center_mm"])


def looped_mm(chain, domain, predict, true=None):
    """The mean error in mm, one hand at a time. `predict` takes an image [1, S, S, 1] and joints [1, J, 3]."""
    hands, errors = chain.hands[domain], []
    for number in range(len(hands.image)):
        joints = predict(tf.constant(hands.image[number][None, ..., None]), tf.constant(hands.joints[number][None]))
        off = np.asarray(joints)[0] - (hands.joints[number] if true is None else true[number])
        errors.append(
            np.linalg.norm(off[list(chain.run.skeleton.evaluated)], axis=-1).mean() * hands.cube_mm[number] / 2
        )
    return np.mean(errors)


def test_links_equal_loops_over_the_networks(chain, figures):
    nets = chain.run.networks
    encode, generate = nets.encoders, nets.generators
    read = {name: run.networks for name, run in chain.readers.items()}
    rows = {row["link"]: row for row in figures["links"]}
    assert list(rows) == [link.key for link in LINKS] and not figures["left_out"]

    def synthetic_only(image):
        return read[SYNTHETIC].predict_joints(image, "synthetic")

    def labelled(image):
        return read[REAL].predict_joints(image, "real")

    def there_and_back(image, own, other):
        return generate[own](encode[other](generate[other](encode[own](image))))

    expected = {
        ("pose-vae", "error_mm"): ("synthetic", lambda x, y: nets.decode_pose(nets.encode_pose(y)[0])),
        ("reconstruction-real", "error_mm"): ("real", lambda x, y: labelled(generate["real"](encode["real"](x)))),
        ("reconstruction-real", "floor_mm"): ("real", lambda x, y: labelled(x)),
        ("cycle-synthetic", "error_mm"): (
            "synthetic",
            lambda x, y: synthetic_only(there_and_back(x, "synthetic", "real")),
        ),
        ("real-to-synthetic", "error_mm"): (
            "real",
            lambda x, y: synthetic_only(generate["synthetic"](encode["real"](x))),
        ),
        ("real-to-synthetic", "floor_mm"): ("real", lambda x, y: read[ORACLE].predict_joints(x, "synthetic")),
        ("real-to-synthetic", "ceiling_mm"): ("real", lambda x, y: synthetic_only(x)),
        ("synthetic-to-real", "floor_mm"): ("real", lambda x, y: labelled(x)),
        ("synthetic-to-real", "ceiling_mm"): ("synthetic", lambda x, y: labelled(x)),
        ("matching-real", "error_mm"): ("real", lambda x, y: nets.predict_joints(x, "real")),
        ("matching-real", "floor_mm"): (
            "real",
            lambda x, y: nets.predict_joints(generate["synthetic"](encode["real"](x)), "synthetic"),
        ),
        ("matching-synthetic", "error_mm"): (
            "synthetic",
            lambda x, y: nets.predict_joints(generate["real"](encode["synthetic"](x)), "real"),
        ),
        ("mapping-synthetic", "error_mm"): (
            "synthetic",
            lambda x, y: synthetic_only(generate["synthetic"](nets.mapping(nets.encode_pose(y)[0]))),
        ),
        ("mapping-synthetic-to-real", "error_mm"): (
            "synthetic",
            lambda x, y: labelled(generate["real"](nets.mapping(nets.encode_pose(y)[0]))),
        ),
        ("mapping-real", "error_mm"): (
            "real",
            lambda x, y: labelled(generate["real"](nets.mapping(nets.encode_pose(y)[0]))),
        ),
    }
    for (link, name), (domain, predict) in expected.items():
        np.testing.assert_allclose(rows[link][name], looped_mm(chain, domain, predict), rtol=1e-3, err_msg=link)
    mean = chain.hands["real"].joints.mean(axis=0)[None]
    np.testing.assert_allclose(
        rows["mapping-real"]["ceiling_mm"], looped_mm(chain, "real", lambda x, y: mean), rtol=1e-4
    )
    assert rows["pose-vae"]["floor_mm"] == 0.0


def test_poses_of_the_prior_are_read_against_what_g_y_says_of_them(chain, figures):
    nets = chain.run.networks
    latent = np.random.default_rng(0).standard_normal((4, nets.config.latent_size)).astype(np.float32)
    true, images = nets.decode_pose(latent).numpy(), nets.generators["real"](nets.mapping(latent))
    joints = iter(chain.readers[REAL].networks.predict_joints(images, "real").numpy())
    expected = looped_mm(chain, "real", lambda x, y: next(joints)[None], true)
    row = next(row for row in figures["links"] if row["link"] == "prior-real")
    np.testing.assert_allclose(row["error_mm"], expected, rtol=1e-3)


def test_surfaces_equal_a_loop_over_pixels(chain, figures):
    row = next(row for row in figures["surfaces"] if row["link"] == "real-to-synthetic")
    before, nets, moved, alone, far = chain.hands["real"], chain.run.networks, [], [], []
    for image, cube_mm in zip(before.image, before.cube_mm):
        made = nets.generators["synthetic"](nets.encoders["real"](image[None, ..., None]))[0, ..., 0].numpy()
        for x, value in zip(image.ravel(), made.ravel()):
            far.append(abs(x - value))
            alone.append((x < np.float32(0.9)) != (value < np.float32(0.9)))
            if x < np.float32(0.9) and value < np.float32(0.9):
                moved.append(abs(x - value) * cube_mm / 2)
    expected = [np.mean(moved), 100 * np.mean(alone), np.mean(far)]
    np.testing.assert_allclose([row["moved_mm"], row["one_sees_percent"], row["l1"]], expected, rtol=1e-3)


def test_links_without_their_reader_are_left_out_with_the_reason(chain):
    fewer = Chain(chain.run, chain.hands, {SYNTHETIC: chain.readers[SYNTHETIC]}, False)
    found = measure_links(fewer)
    reasons = {row["link"]: row["reason"] for row in found["left_out"]}
    assert reasons["mapping-real"] == "no --real-reader is given"
    assert reasons["matching-real"] == "the run's P is not trained yet"
    rows = {row["link"]: row for row in found["links"]}
    assert set(rows) | set(reasons) == {link.key for link in LINKS} and not set(rows) & set(reasons)
    # A floor of its own is missing alone.
    assert rows["real-to-synthetic"]["floor_mm"] is None and rows["real-to-synthetic"]["error_mm"] > 0
    assert {row["link"] for row in found["surfaces"]} >= {"mapping-real", "reconstruction-real"}
    text = format_links(found)
    assert "left out: mapping-real (no --real-reader is given)" in text and "nan" not in text


def run_benchmark(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["latent_space.py", *map(str, arguments)])
    return benchmark.main()


def test_the_command_prints_and_writes(finished_run, readers, tmp_path, monkeypatch, capsys, eagerly):
    given = [finished_run, "--frames", 3, "--output", tmp_path / "out", "--synthetic-reader", readers[SYNTHETIC]]
    assert run_benchmark(monkeypatch, *given, "--stage", "mapping") == 0
    said = capsys.readouterr().out
    assert "M: synthetic poses drawn" in said and "left out: matching-real" in said
    written = json.loads((tmp_path / "out" / "latent-space.json").read_text())
    assert written["stage"] == "mapping" and written["frames"] == {"real/validation": 3, "synthetic/validation": 3}
    row = next(row for row in written["links"] if row["link"] == "mapping-synthetic")
    assert f"{row['error_mm']:.2f}" in said
    with Image.open(tmp_path / "out" / "latent-space.png") as picture:
        # Six pictures in a row, a row for each link but the pose VAE's.
        assert picture.width > 6 * 96 and picture.height > (len(LINKS) - 1) * 96


def test_runs_without_a_depth_stage_of_both_domains(finished_run, tmp_path, monkeypatch):
    config = run_folder.read_settings(finished_run).config
    untrained = build_networks(config.network, config.data.image_size, seed=0)
    for stages in (("pose", "regression"), ("pose", "posterior"), ("pose", "depth", "posterior")):
        folder = changed_run(finished_run, tmp_path / "-".join(stages), stages=stages)
        run_folder.save_weights(untrained, run_folder.weights_path(folder, stages[-1]))
        with pytest.raises(InputError, match="no depth stage of both domains"):
            run_benchmark(monkeypatch, folder)
    with pytest.raises(InputError, match="--stage pose: that comes before the depth stage"):
        load_latent_run(finished_run, "pose")
    with pytest.raises(InputError, match="--frames 0"):
        run_benchmark(monkeypatch, finished_run, "--frames", 0)


def test_a_run_is_measured_after_its_last_finished_stage(finished_run, tmp_path):
    folder = changed_run(finished_run, tmp_path / "stopped")
    run_folder.weights_path(folder, "posterior").unlink()
    assert load_latent_run(folder)[1] == "mapping"
    for stage in ("mapping", "depth"):
        run_folder.weights_path(folder, stage).unlink()
    with pytest.raises(InputError, match="no stage from the depth stage on is finished; go on with"):
        load_latent_run(folder)
    later = changed_run(
        finished_run, tmp_path / "later", stages=("posterior",), pretrained="x", pretrained_stage="depth"
    )
    assert load_latent_run(later)[1] == "posterior"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"cube_mm": 300.0}}, "its cube_mm is 300.0, that of .* is 250.0"),
        ({"config": {"image_size": 36}, "domain": "real"}, "its image_size is 36, that of .* is 32"),
        ({"skeleton": "icvl"}, "its skeleton is icvl, that of .* is nyu"),
        ({"domain": "synthetic"}, "reads synthetic frames, and this reader must read real ones"),
    ],
)
def test_readers_of_other_crops(chain, finished_run, tmp_path, changes, message, monkeypatch):
    folder = changed_run(finished_run, tmp_path / "other", **changes)
    # Of other sizes the weights would not even load.
    monkeypatch.setattr(run_folder, "load_weights", lambda *_: None)
    with pytest.raises(InputError, match=f"--real-reader {folder}: .*{message}"):
        load_reader("--real-reader", folder, chain.run, "real")


def test_recorded_stores_without_held_out_renderings_give_those_of_training(chain, store_path, monkeypatch):
    with open_store(store_path) as store:
        monkeypatch.setattr(store, "info", dataclasses.replace(store.info, source={"made_by": "import"}))
        hands = held_out_hands(chain.run, store, "validation", 3)
        assert hands["synthetic"].split == "synthetic/train" and len(hands["synthetic"].image) == 3
