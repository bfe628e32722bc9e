"""What a run generates, in figures and in pictures: each figure against a loop over hands, with tiny networks."""

import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import figures as figures_command
from benchmarks import generation as benchmark
from lsps_tf import pose_codes
from lsps_tf.pose_codes import codes_of_simulated_poses
from tests.training.evaluation.test_latent_space import chain, readers  # noqa: F401
from training.evaluation import figures, generation, hand_validity
from training.evaluation.latent_space import P_REAL, REAL, SYNTHETIC, Reading


@pytest.fixture(autouse=True)
def small(monkeypatch):
    sizes = {(pose_codes, "POSES"): 48, (pose_codes, "_PER_BATCH"): 48, (hand_validity, "_FIT_STEPS"): 2}
    sizes |= {(generation, "_SAMPLES"): 6, (generation, "_WALKS"): 1, (generation, "_STEPS"): 4}
    for (module, name), value in sizes.items():
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def space(chain):  # noqa: F811
    return codes_of_simulated_poses(chain.run.networks, chain.run.skeleton, chain.run.config.data.cube_mm)


def test_the_pose_kept_is_the_readers_error_on_translated_frames(chain):  # noqa: F811
    kept = generation.measure_pose_kept(chain)
    networks, reader, hands = chain.run.networks, chain.readers[REAL].networks, chain.hands["synthetic"]
    errors = []
    for image, true in zip(hands.image, hands.joints):
        seen = networks.generators["real"](networks.encoders["synthetic"](image[None, ..., None]))
        off = (reader.predict_joints(seen, "real").numpy()[0] - true)[list(chain.run.skeleton.evaluated)]
        errors.append(125 * np.linalg.norm(off, axis=-1).mean())
    assert kept["translated_mm"] == pytest.approx(np.mean(errors), rel=1e-3)
    assert kept["ratio"] == pytest.approx(kept["translated_mm"] / kept["real_mm"])


def test_agreement_is_between_the_codes_pose_and_the_images(chain):  # noqa: F811
    rows = {row["domain"]: row for row in generation.measure_agreement(chain)}
    networks, hands = chain.run.networks, chain.hands["synthetic"]
    for domain, name in (("synthetic", SYNTHETIC), ("real", REAL)):
        apart = []
        for true in hands.joints:
            code = networks.encode_pose(true[None])[0]
            image = networks.generators[domain](networks.mapping(code))
            read = chain.readers[name].networks.predict_joints(image, domain)
            off = (read - networks.decode_pose(code)).numpy()[0, list(chain.run.skeleton.evaluated)]
            apart.append(125 * np.linalg.norm(off, axis=-1).mean())
        assert rows[domain]["apart_mm"] == pytest.approx(np.mean(apart), rel=1e-3)
        assert rows[domain]["reader_mm"] == pytest.approx(chain.errors_mm(Reading(name, domain)).mean())
        assert rows[domain]["beyond_mm"] == pytest.approx(rows[domain]["apart_mm"] - rows[domain]["reader_mm"])


def test_the_command_measures_all(chain, request, store_path, capsys, monkeypatch, tmp_path):  # noqa: F811
    folders = request.getfixturevalue("readers")
    options = ["--synthetic-reader", folders[SYNTHETIC], "--real-reader", folders[REAL], "--json", tmp_path / "f.json"]
    few = ["--frames", "4", "--training-frames", "4", "--steps", "2"]
    arguments = [chain.run.directory, *options, "--store", store_path, *few]
    monkeypatch.setattr(sys, "argv", ["generation.py", *map(str, arguments)])
    assert benchmark.main() == 0
    said = capsys.readouterr().out
    for title in ("simulated frames, translated", "drawn by M", "walks, straight", "drawn of N(0, I)"):
        assert title in said
    assert (tmp_path / "f.json").is_file()


def test_figures_are_sheets_of_as_many_pictures(chain, space):  # noqa: F811
    def rows_and_columns(picture, side=figures.SIDE):
        assert isinstance(picture, Image.Image)
        return picture.height // (side + 20), picture.width // side

    over = figures.OVERLAY_SIDE

    assert rows_and_columns(figures.transformations(chain)) == (3, 12)
    assert rows_and_columns(figures.walk(chain, space, 0)) == (3, 12)
    assert rows_and_columns(figures.predictions(chain, {"LSPS": P_REAL, "real": REAL}, 3), over) == (2, 3)
    assert rows_and_columns(figures.predictions(chain, {"LSPS": P_REAL}, 24), over) == (2, 12)
    # Three rows of drawn hands, and eight of frames.
    assert rows_and_columns(figures.samples(chain, space, 0)) == (11, 12)


def test_failures_are_the_worst_frames(chain, monkeypatch):  # noqa: F811
    seen = []
    monkeypatch.setattr(figures, "_read_rows", lambda _, rows, places: seen.extend(places))
    figures.failures(chain, {"LSPS": P_REAL})
    errors_mm = chain.errors_mm(Reading(P_REAL, "real"))
    assert seen == sorted(range(len(errors_mm)), key=lambda place: -errors_mm[place])


def test_readers_that_are_there_are_not_trained_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(figures_command.subprocess, "run", lambda command, check: asked.append(command))
    given = figures_command.build_parser().parse_args(["--readers", str(tmp_path)])
    figures_command.train_reader("real", given)
    assert "--resume" not in asked[0] and asked[0][asked[0].index("--method") + 1] == "real"
    (tmp_path / "real" / "weights").mkdir(parents=True)
    figures_command.train_reader("real", given)
    assert "--resume" in asked[1]
    (tmp_path / "real" / "weights" / "regression.h5").touch()
    figures_command.train_reader("real", given)
    assert len(asked) == 2
