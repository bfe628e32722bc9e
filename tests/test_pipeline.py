import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera, pipeline
from lsps_tf.config import DataConfig
from lsps_tf.datasets import feeds
from lsps_tf.datasets.store import create_store, open_store
from lsps_tf.errors import InputError
from lsps_tf.replicas import Shares
from lsps_tf.skeleton import ICVL

SIZE, STORED, COUNT = 16, 24, 10


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pipeline") / "store.h5"
    rng = np.random.default_rng(0)
    with create_store(path, "icvl", camera.ICVL, STORED, {"made_by": "test"}) as store:
        for split in ("synthetic/train", "real/train"):
            center = rng.normal((0, 0, 600), 30, (COUNT, 3))
            joints = center[:, None] + rng.normal(0, 40, (COUNT, 16, 3))
            if split == "real/train":
                joints[COUNT // 2 :] = np.nan
            store.append(
                split,
                {
                    "depth_mm": rng.uniform(500, 700, (COUNT, STORED, STORED)),
                    "joints_mm": joints,
                    "center_mm": center,
                    "cube_mm": np.full(COUNT, 200.0),
                    "extent_mm": np.full(COUNT, 300.0),
                    "subject": np.arange(COUNT),
                    "frame": np.arange(COUNT),
                },
            )
    return path


def streams(batch=4):
    return {
        "synthetic": feeds.Stream("synthetic/train", batch),
        "real": feeds.Stream("real/train", batch),
        "labelled": feeds.Stream("real/train", 2, indices=(1, 3), images=True),
    }


def batches(path, count, start=0, seed=5, **options):
    return list(pipeline.build_pipeline(path, streams(**options), seed, start).take(count).as_numpy_iterator())


def test_every_epoch_is_another_permutation():
    taken = np.concatenate([feeds.shuffled_indices(step, 4, COUNT, (5, 0)) for step in range(10)]).reshape(4, COUNT)
    for epoch in taken:
        assert sorted(epoch) == list(range(COUNT))
    assert len({tuple(epoch) for epoch in taken}) == 4
    assert not np.array_equal(taken[0], feeds.shuffled_indices(0, COUNT, COUNT, (6, 0)))


def test_a_pipeline_that_starts_later_goes_on_as_if_it_had_run(store_path):
    whole, rest = batches(store_path, 7), batches(store_path, 3, start=4)
    for expected, actual in zip(whole[4:], rest):
        tf.nest.map_structure(np.testing.assert_array_equal, expected, actual)
    assert [list(batch["seed"]) for batch in whole] == [[5, step] for step in range(7)]


def test_shares_of_replicas_are_rows_of_the_whole_batch_in_turn(store_path):
    whole = batches(store_path, 3, start=2)
    for first, own in ((0, 2), (0, 1), (1, 1)):
        shares = Shares(total=2, first=first, own=own)
        shared = pipeline.build_pipeline(store_path, streams(), 5, 2, shares=shares).take(3 * own)
        for number, part in enumerate(shared.as_numpy_iterator()):
            step, share = number // own, first + number % own
            assert list(part.pop("seed")) == list(whole[step]["seed"]) == [5, 2 + step]
            for name, rows in part.items():
                tf.nest.map_structure(
                    lambda a, b, share=share: np.testing.assert_array_equal(a[share::2], b), whole[step][name], rows
                )


def test_a_batch_that_cannot_be_shared_is_refused(store_path):
    with pytest.raises(InputError, match="2 frames of 'real/train' in each step cannot be shared by 4 replicas"):
        pipeline.build_pipeline(store_path, {"real": pipeline.Stream("real/train", 2)}, 0, shares=Shares(total=4))


def test_no_tuner_keeps_a_finished_pipeline_waiting(store_path):
    """TensorFlow's thread for it sleeps for up to a minute, and the end of an iterator joins it."""
    assert pipeline.build_pipeline(store_path, streams(), seed=1).options().autotune.enabled is False


def test_batches_hold_the_stored_rows_and_domains_are_not_paired(store_path):
    batch = batches(store_path, 1)[0]
    with open_store(store_path) as store:
        rows = {split: store.read(split, np.arange(COUNT)) for split in ("synthetic/train", "real/train")}
    chosen = {}
    for name, split in (("synthetic", "synthetic/train"), ("real", "real/train"), ("labelled", "real/train")):
        centers = rows[split]["center_mm"]
        chosen[name] = [int(np.flatnonzero((centers == c).all(axis=1))[0]) for c in batch[name]["center_mm"]]
        for column in ("depth_mm", "joints_mm", "cube_mm", "extent_mm"):
            np.testing.assert_array_equal(batch[name][column], rows[split][column][chosen[name]])
    assert chosen["synthetic"] != chosen["real"]
    assert sorted(chosen["labelled"]) == [1, 3]


def test_preparation_augments_image_and_joints_and_hides_the_labels_of_unlabelled_frames(store_path):
    raw = batches(store_path, 1)[0]
    prepare = pipeline.Preparation(DataConfig(image_size=SIZE, cube_mm=200.0))
    batch = prepare(tf.nest.map_structure(tf.constant, raw))
    assert set(batch) == {"synthetic", "real", "labelled", "seed"}
    assert set(batch["real"]) == {"image"} and set(batch["labelled"]) == {"image", "joints"}
    assert batch["synthetic"]["image"].shape == (4, SIZE, SIZE, 1)
    again = prepare(tf.nest.map_structure(tf.constant, raw))
    tf.nest.map_structure(np.testing.assert_array_equal, batch, again)
    still = pipeline.Preparation(DataConfig(image_size=SIZE, rotation_degrees=0.0, translation_mm=0.0))
    plain = still(tf.nest.map_structure(tf.constant, raw))["synthetic"]
    expected = (raw["synthetic"]["joints_mm"] - raw["synthetic"]["center_mm"][:, None]) / 100.0
    np.testing.assert_allclose(plain["joints"], expected, atol=1e-5)


def test_randomised_frames_stand_beside_the_synthetic_ones_or_in_their_place(store_path):
    raw = tf.nest.map_structure(tf.constant, batches(store_path, 1)[0])
    data = DataConfig(image_size=SIZE, cube_mm=200.0)
    plain, beside, instead = (
        pipeline.Preparation(data, *options)(raw) for options in ((), (ICVL, 1.0, True), (ICVL, 1.0))
    )
    assert set(beside) == {*plain, "randomized"} and set(instead) == set(plain)
    for batch in (beside, {name: part for name, part in instead.items() if name != "synthetic"}):
        for name in set(batch) & set(plain):
            tf.nest.map_structure(np.testing.assert_array_equal, batch[name], plain[name])
    tf.nest.map_structure(np.testing.assert_array_equal, beside["randomized"], instead["synthetic"])
    moved = np.abs(instead["synthetic"]["joints"] - plain["synthetic"]["joints"])
    assert moved.min() > 0.0 and moved.max() < 1.0


def test_labelled_frames_look_otherwise_and_others_do_not(store_path):
    raw = tf.nest.map_structure(tf.constant, batches(store_path, 1)[0])
    raw["simulated"] = raw["labelled"]
    plain, changed = (
        pipeline.Preparation(DataConfig(image_size=SIZE, cube_mm=200.0, appearance=strength))(raw)
        for strength in (0.0, 1.0)
    )
    for name in ("synthetic", "real", "seed"):
        tf.nest.map_structure(np.testing.assert_array_equal, changed[name], plain[name])
    for name in ("labelled", "simulated"):
        assert np.mean(changed[name]["image"] != plain[name]["image"]) > 0.05
        # Joints keep their place in the crop, but for the hand's size.
        ratio = (changed[name]["joints"] / plain[name]["joints"]).numpy()
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)
    assert not np.array_equal(changed["labelled"]["image"], changed["simulated"]["image"])


def test_poses_alone_read_no_depth(store_path):
    poses = {"synthetic": feeds.Stream("synthetic/train", 3, images=False)}
    batch = next(iter(pipeline.build_pipeline(store_path, poses, 0).take(1)))
    assert "depth_mm" not in batch["synthetic"]


def test_labelled_frames_are_nested_samples_of_those_with_labels(store_path):
    with open_store(store_path) as store:
        half = pipeline.labelled_indices(store, "real/train", 0.5, 3)
        whole = pipeline.labelled_indices(store, "real/train", 1.0, 3)
        assert sorted(whole) == list(range(COUNT // 2)) and half == whole[:2]
        assert pipeline.labelled_indices(store, "real/train", 0.0, 3) == ()
        assert len(pipeline.labelled_indices(store, "real/train", 0.001, 3)) == 1
        # Above 1 it is a number of frames.
        assert pipeline.labelled_indices(store, "real/train", 3.0, 3) == whole[:3]
        with pytest.raises(InputError, match="--labels 6: .* has labels of 5 frames of 'real/train'"):
            pipeline.labelled_indices(store, "real/train", 6.0, 3)


def test_a_missing_split_is_said(store_path):
    with pytest.raises(InputError, match="real/test"):
        pipeline.build_pipeline(store_path, {"real": feeds.Stream("real/test", 1)}, 0)
