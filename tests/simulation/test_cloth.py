"""Folds of sleeves against a slow reference, and from two sides."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import cloth, scene_renderer, shape, surface, surroundings

COUNT, SIZE, EXTENT_MM = 6, 96, 520.0
SLANTED = np.array([0.3, 0.5, 0.8])


@pytest.fixture(scope="module")
def scene():
    return surroundings.draw_scene(shape.subject_shape(np.arange(1, 4)), COUNT, 500.0, 700.0, tf.constant([5, 7]))


def ends(hand, number):
    found = []
    for end in ("forearm", "elbow"):
        ulnar, radial = (surface.SPHERE_INDEX[f"{end}_{side}"] for side in ("ulnar", "radial"))
        a, b = (hand.centers_mm[number].numpy().astype(float)[index] for index in (ulnar, radial))
        found.append((0.5 * (a + b), 0.5 * np.linalg.norm(a - b) + float(hand.radii_mm[number, ulnar])))
    return found


def relief_mm(point_mm, hand, folds, number):
    """Of a point on a forearm, one wave after the other."""
    (start, _), (end, _) = ends(hand, number)
    along = (end - start) / np.linalg.norm(end - start)
    first = np.cross(along, SLANTED)
    first /= np.linalg.norm(first)
    offset = point_mm - start
    s, angle = offset @ along, np.arctan2(offset @ np.cross(along, first), offset @ first)
    height = sum(
        float(h) * np.sin(2.0 * np.pi * (s * float(per) + float(around) * angle / (2.0 * np.pi) + float(phase)))
        for h, per, around, phase in zip(*(part[number] for part in folds))
    )
    return height * np.clip(s / 30.0, 0.0, 1.0)


def test_every_reading_on_a_forearm_moves_by_its_folds(scene):
    center_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    folds = cloth.draw_folds(tf.constant([1, 8]), COUNT)
    folds = folds._replace(height_mm=tf.ones_like(folds.height_mm))
    flat = scene._replace(folds=(folds._replace(height_mm=tf.zeros_like(folds.height_mm)),) * 2)
    before_mm, _ = scene_renderer.render_scene(flat, center_mm, EXTENT_MM, SIZE)
    x, y = (value.numpy() for value in scene_renderer._rays(center_mm, EXTENT_MM, SIZE))
    after_mm = cloth.fold(before_mm, x[:, None, :], y[:, :, None], scene.hand, folds).numpy()
    before_mm, seen = before_mm.numpy(), 0
    for number in range(COUNT):
        (start, _), (end, radius) = ends(scene.hand, number)
        length = np.linalg.norm(end - start)
        for row, column in np.ndindex(SIZE, SIZE):
            z = before_mm[number, row, column]
            point_mm = z * np.array([x[number, column], y[number, row], 1.0])
            s = (point_mm - start) @ (end - start) / length
            across = np.sqrt(max(np.sum((point_mm - start) ** 2) - s**2, 0.0))
            moved_mm = z - after_mm[number, row, column]
            if z > 0.0 and 1.0 < s < length and across < radius:
                assert moved_mm == pytest.approx(relief_mm(point_mm, scene.hand, folds, number), abs=2e-3)
                seen += 1
            elif z == 0.0 or s < -1.0 or across > radius + 40.0:
                assert moved_mm == 0.0
    assert seen > 2000


def test_folds_are_no_higher_than_they_may_be_and_some_arms_have_none():
    folds = cloth.draw_folds(tf.constant([1, 2]), 400)
    highest_mm = folds.height_mm.numpy().sum(axis=1)
    assert 5.0 < highest_mm.max() <= cloth.HIGHEST_MM
    assert np.mean(highest_mm > 0.0) == pytest.approx(cloth.FOLDED, abs=0.08)


def test_scenes_show_folds_on_arms_and_not_on_hands(scene):
    center_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    high, none = (
        tuple(each._replace(height_mm=tf.fill(tf.shape(each.height_mm), value)) for each in scene.folds)
        for value in (1.5, 0.0)
    )
    folded_mm, shown = scene_renderer.render_scene(scene._replace(folds=high), center_mm, EXTENT_MM, SIZE)
    flat_mm, flat_shown = scene_renderer.render_scene(scene._replace(folds=none), center_mm, EXTENT_MM, SIZE)
    hand = (shown & flat_shown).numpy()
    np.testing.assert_array_equal(folded_mm.numpy()[hand], flat_mm.numpy()[hand])
    assert np.sum(np.abs(folded_mm - flat_mm) > 1.0) > 300
