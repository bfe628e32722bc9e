"""Crops to joints, and which hand each crop shows. What `lsps_tf/predictor.py` finds and cuts out comes here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from lsps_tf import mirror
from lsps_tf.hand import SURE_SIDE, is_near_verge, right_logit
from lsps_tf.hand_finding import fit
from lsps_tf.skeleton import Skeleton


class Located(NamedTuple):
    """Hands in their crops, as the camera sees them. One of each frame, or N: then [B, N] for [B].

    Attributes:
        image: [B, S, S, 1] in [-1, 1].
        center_mm: [B, 3] camera space.
        presence: [B], bool: whether there is a hand.
        looks_right: [B], the finder's logit of a right hand; 0 where it did not look.
        hand: [B], string, which hand it is: "right", "left", or "auto" to have it told.
    """

    image: tf.Tensor
    center_mm: tf.Tensor
    presence: tf.Tensor
    looks_right: tf.Tensor
    hand: tf.Tensor


class Seen(NamedTuple):
    """Located hands as the network sees them, left ones as right ones in a mirror; and what it says of them.

    Attributes:
        image: [B, S, S, 1] in [-1, 1], the network's input.
        left: [B], bool: which are taken for left hands.
        right_logit: [B], above 0 where it looks like a right hand; 0 where that was not looked at.
        crops: of `CropPredictor.predict`, of these images.
    """

    image: tf.Tensor
    left: tf.Tensor
    right_logit: tf.Tensor
    crops: dict[str, tf.Tensor]


class CropPredictor(tf.Module):
    """The network that reads crops, and tells the side of the hands in them.

    Networks know right hands. A left one is shown to them in a mirror, and what they say is mirrored back. Where it is
    not said which hand it is, both are tried: the finder's logit decides, and which of the two agrees with the depth.

    A network that looks at a crop several times (`networks.turns`) has a first look at both, which costs less. Where
    the other looks may tell another side, they decide.

    Attributes:
        joints_of_crop: normalised crops [B, S, S, 1] to joints [B, J, 3] in half cubes.
        cube_mm: side of the crop's cube.
        skeleton: of the joints.
        sure_joints_of_crop: the same, and the confidence [B, J] of each joint; None where that is not known.
        first_look: crops [B, S, S, 1] to the joints [B, J, 3] of the first of several looks. Both functions before take
            these as a second argument then. None where there is one look.
    """

    def __init__(
        self,
        joints_of_crop: Callable[..., tf.Tensor],
        cube_mm: float,
        skeleton: Skeleton,
        sure_joints_of_crop: Callable[..., tuple[tf.Tensor, tf.Tensor]] | None = None,
        first_look: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ):
        super().__init__(name="crop_predictor")
        self.joints_of_crop, self.sure_joints_of_crop = joints_of_crop, sure_joints_of_crop
        self.first_look = first_look
        self.cube_mm, self.skeleton = cube_mm, skeleton

    def predict(self, image: tf.Tensor, *first_joints: tf.Tensor) -> dict[str, tf.Tensor]:
        """joints_norm [B, J, 3] in half cubes and, where it is known, confidence [B, J], of crops [B, S, S, 1].

        `first_joints` is what `first_look` says of these crops, where that is known already.
        """
        if self.sure_joints_of_crop is None:
            return {"joints_norm": self.joints_of_crop(image, *first_joints)}
        joints_norm, confidence = self.sure_joints_of_crop(image, *first_joints)
        return {"joints_norm": joints_norm, "confidence": confidence}

    def look(self, located: Located) -> Seen:
        """Shows located hands to the network, those of which nothing is said from both sides."""
        several = located.presence.shape[1:]
        located = Located(*(tf.reshape(value, [-1, *value.shape[1 + len(several) :]]) for value in located))
        all_said = tf.reduce_all(tf.not_equal(located.hand, mirror.AUTO))
        seen = tf.cond(all_said, lambda: self._look_once(located), lambda: self._look_twice(located))
        return tf.nest.map_structure(lambda value: tf.reshape(value, [-1, *several, *value.shape[1:]]), seen)

    def _look_once(self, located: Located) -> Seen:
        left = tf.equal(located.hand, "left")
        image = tf.where(like(left, located.image), mirror.mirror_crop(located.image), located.image)
        return Seen(image, left, located.looks_right, self.predict(image))

    def _look_twice(self, located: Located) -> Seen:
        """With the side told from which of two predictions explains more, unless it is said."""
        images = tf.concat([located.image, mirror.mirror_crop(located.image)], axis=0)
        is_said = tf.not_equal(located.hand, mirror.AUTO)

        def left(told: tf.Tensor) -> tf.Tensor:
            return tf.where(is_said, tf.equal(located.hand, "left"), told < -SURE_SIDE)

        def of_both(first: tuple[tf.Tensor, ...] = (), told: tf.Tensor | None = None) -> tuple[tf.Tensor, ...]:
            crops = self.predict(images, *first)
            again = self._told(located, images, crops["joints_norm"])
            told = again if told is None else tf.where(is_near_verge(told), again, told)
            return told, {name: _of_side(left(told), value) for name, value in crops.items()}

        if self.first_look is None:
            told, crops = of_both()
        else:
            first = self.first_look(images)
            told = self._told(located, images, first)
            is_left = left(told)
            of_one = lambda: (told, self.predict(_of_side(is_left, images), _of_side(is_left, first)))  # noqa: E731
            all_told = tf.reduce_all(is_said | ~is_near_verge(told))
            told, crops = tf.cond(all_told, of_one, lambda: of_both((first,), told))
        right = tf.where(is_said, located.looks_right, told)
        return Seen(_of_side(left(told), images), left(told), right, crops)

    def _told(self, located: Located, images: tf.Tensor, joints_norm: tf.Tensor) -> tf.Tensor:
        """The logit [B] of a right hand, of what is predicted of both sides, [2B, J, 3] of images [2B, S, S, 1]."""
        centers_mm = tf.concat([located.center_mm, mirror.mirror_points(located.center_mm)], axis=0)
        explained = fit.explained(images, centers_mm, self.cube_mm, joints_norm, self.skeleton.bones)
        return right_logit(located.looks_right, *tf.split(explained, 2))


def _of_side(left: tf.Tensor, both: tf.Tensor) -> tf.Tensor:
    """What belongs to the side, [B, ...] of [2B, ...]: first all as right hands, then all as left ones."""
    as_right, as_left = tf.split(both, 2)
    return tf.where(like(left, as_right), as_left, as_right)


def like(flags: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Flags with as many axes as a value, whose first axes are theirs."""
    return flags[(..., *[None] * (len(value.shape) - len(flags.shape)))]
