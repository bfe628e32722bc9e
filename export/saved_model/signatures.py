"""The SavedModel: from encoded or decoded depth frames, or from crops, to joints; what TensorFlow Serving serves."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf

from export.saved_model.generating import Generating, write_codes
from export.saved_model.model_card import CARD_NAME, write_card
from export.saved_model.png_graph import decode_counts, same_size
from export.saved_model.warmup import write_warmup_requests
from lsps_tf.confidence import Confidence
from lsps_tf.crop_predictor import Located
from lsps_tf.files import atomic_path
from lsps_tf.hand import USUAL_HANDS
from lsps_tf.mirror import AUTO, HAND_SETTINGS
from lsps_tf.model_info import (
    ASSET_NAME,
    CODES_NAME,
    ENCODE_PNG,
    FROM_CROP,
    FROM_DEPTH,
    FROM_DEPTH_HANDS,
    FROM_DEPTH_HINTED,
    FROM_PNG,
    FROM_PNG_HANDS,
    FROM_PNG_HINTED,
    MODEL_NAME,
    ModelInfo,
)
from lsps_tf.predictor import Predictor, predictor_of_run
from lsps_tf.run_folder import Run
from lsps_tf.skeleton import HAND21_FROM_NYU, NYU
from lsps_tf.tensorflow_paths import plain_folder

VERSION = "1"
# Frames that are decoded at the same time, where there are cores.
_DECODERS = 16

_PNG = tf.TensorSpec([None], tf.string, "depth_png_bytes")
_UNIT = tf.TensorSpec([None], tf.float32, "depth_unit_mm")
_DEPTH = tf.TensorSpec([None, None, None], tf.float32, "depth_mm")
_INTRINSICS = tf.TensorSpec([None, 4], tf.float32, "intrinsics")
_CENTER = tf.TensorSpec([None, 3], tf.float32, "center_mm")
_HAND = tf.TensorSpec([None], tf.string, "hand")

Outputs = dict[str, tf.Tensor]


class Servable(tf.Module):
    """Holds the functions that become signatures, the variables that they read, and the assets.

    Attributes:
        signatures_by_name: concrete functions, all with a dynamic batch.
    """

    def __init__(
        self,
        run: Run,
        predictor: Predictor,
        assets: list[pathlib.Path],
        hands: int = USUAL_HANDS,
        generating: Generating | None = None,
    ):
        super().__init__(name="lsps")
        self.deployed = run.networks.deployed_variables(run.domain)
        self.read = [] if generating is None else generating.read
        self._generating = generating
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]
        self._predictor, self._hands = predictor, hands
        # One graph of each, which several signatures call.
        self._locate = tf.function(predictor.locate, input_signature=(_DEPTH, _INTRINSICS, _CENTER, _HAND))
        self._locate_hands = tf.function(
            lambda depth_mm, intrinsics, hand: predictor.locate_hands(depth_mm, intrinsics, hands, hand),
            input_signature=(_DEPTH, _INTRINSICS, _HAND),
        )
        size = run.config.data.image_size
        image = tf.TensorSpec([None, size, size, 1], tf.float32, "image")
        functions = {
            FROM_PNG: (self.from_png, (_PNG, _INTRINSICS, _UNIT)),
            FROM_PNG_HINTED: (self.from_png_hinted, (_PNG, _INTRINSICS, _UNIT, _CENTER, _HAND)),
            FROM_PNG_HANDS: (self.from_png_hands, (_PNG, _INTRINSICS, _UNIT, _HAND)),
            FROM_DEPTH: (self.from_depth, (_DEPTH, _INTRINSICS)),
            FROM_DEPTH_HINTED: (self.from_depth_hinted, (_DEPTH, _INTRINSICS, _CENTER, _HAND)),
            FROM_DEPTH_HANDS: (self.from_depth_hands, (_DEPTH, _INTRINSICS, _HAND)),
            FROM_CROP: (self.from_crop, (image,)),
        }
        if generating is not None:
            functions.update({ENCODE_PNG: (self.encode_png, (_PNG, _INTRINSICS, _UNIT)), **generating.functions})
        self.signatures_by_name = {
            name: tf.function(function).get_concrete_function(*specs) for name, (function, specs) in functions.items()
        }

    def from_png(self, depth_png_bytes: tf.Tensor, intrinsics: tf.Tensor, depth_unit_mm: tf.Tensor) -> Outputs:
        """Encoded frames, whose sizes may differ."""
        return self.from_png_hinted(depth_png_bytes, intrinsics, depth_unit_mm, *_no_hints(intrinsics))

    def from_png_hinted(
        self,
        depth_png_bytes: tf.Tensor,
        intrinsics: tf.Tensor,
        depth_unit_mm: tf.Tensor,
        center_mm: tf.Tensor,
        hand: tf.Tensor,
    ) -> Outputs:
        """The same with the hand's centre, NaN where it is to be found, and which hand it is."""
        with _checked(intrinsics=intrinsics, depth_unit_mm=depth_unit_mm, center_mm=center_mm, hand=hand):
            located = self._locate_in_pngs(
                self._locate, depth_png_bytes, depth_unit_mm, (intrinsics, center_mm, hand), ()
            )
            return self._predict(located, intrinsics)

    def from_png_hands(
        self, depth_png_bytes: tf.Tensor, intrinsics: tf.Tensor, depth_unit_mm: tf.Tensor, hand: tf.Tensor
    ) -> Outputs:
        """The nearest hands of encoded frames, whose sizes may differ."""
        with _checked(intrinsics=intrinsics, depth_unit_mm=depth_unit_mm, hand=hand):
            rows, several = (intrinsics, hand), (self._hands,)
            located = self._locate_in_pngs(self._locate_hands, depth_png_bytes, depth_unit_mm, rows, several)
            return self._predict(located, intrinsics)

    def from_depth(self, depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> Outputs:
        """Frames in mm."""
        return self.from_depth_hinted(depth_mm, intrinsics, *_no_hints(intrinsics))

    def from_depth_hinted(
        self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor, hand: tf.Tensor
    ) -> Outputs:
        """The same with the hand's centre, NaN where it is to be found, and which hand it is."""
        with _checked(intrinsics=intrinsics, center_mm=center_mm, hand=hand):
            return self._predict(Located(*self._locate(_readings(depth_mm), intrinsics, center_mm, hand)), intrinsics)

    def from_depth_hands(self, depth_mm: tf.Tensor, intrinsics: tf.Tensor, hand: tf.Tensor) -> Outputs:
        """The nearest hands of frames in mm."""
        with _checked(intrinsics=intrinsics, hand=hand):
            return self._predict(Located(*self._locate_hands(_readings(depth_mm), intrinsics, hand)), intrinsics)

    def _locate_in_pngs(
        self,
        locate: Callable[..., Located],
        png_bytes: tf.Tensor,
        unit_mm: tf.Tensor,
        others: tuple[tf.Tensor, ...],
        several: tuple[int, ...],
    ) -> Located:
        """Finds and crops in frames of one size together, else one by one; the network sees all crops at once."""

        def together() -> Located:
            counts = tf.map_fn(decode_counts, png_bytes, fn_output_signature=tf.uint16, parallel_iterations=_DECODERS)
            return Located(*locate(_depth_mm(counts, unit_mm), *others))

        def locate_one(row: tuple[tf.Tensor, ...]) -> Located:
            content, unit_mm, *others = row
            located = locate(_depth_mm(decode_counts(content)[None], unit_mm[None]), *(value[None] for value in others))
            return Located(*(value[0] for value in located))

        size = self._predictor.image_size
        specs = Located(
            tf.TensorSpec([*several, size, size, 1]),
            tf.TensorSpec([*several, 3]),
            tf.TensorSpec(several, tf.bool),
            tf.TensorSpec(several),
            tf.TensorSpec(several, tf.string),
        )
        png_bytes = tf.identity(png_bytes)
        rows = (png_bytes, unit_mm, *others)
        alike = same_size(png_bytes) & (tf.size(png_bytes) > 0)
        return tf.cond(alike, together, lambda: tf.map_fn(locate_one, rows, fn_output_signature=specs))

    def _predict(self, located: Located, intrinsics: tf.Tensor) -> Outputs:
        """The predictor's outputs, and what clients need beside them."""
        outputs = self._predictor.predict(located, intrinsics)
        outputs["cube_mm"] = tf.fill(tf.shape(intrinsics)[:1], tf.constant(self._predictor.cube_mm, tf.float32))
        if self._predictor.skeleton == NYU:
            outputs["joints21_mm"] = tf.gather(outputs["joints_mm"], HAND21_FROM_NYU, axis=-2)
        return outputs

    def encode_png(self, depth_png_bytes: tf.Tensor, intrinsics: tf.Tensor, depth_unit_mm: tf.Tensor) -> Outputs:
        """As `from_png`, with the crop that was seen, its code, its reconstruction and its translation."""
        with _checked(intrinsics=intrinsics, depth_unit_mm=depth_unit_mm):
            rows = (intrinsics, *_no_hints(intrinsics))
            located = self._locate_in_pngs(self._locate, depth_png_bytes, depth_unit_mm, rows, ())
            image = self._predictor.crops.look(located).image
            shown = {"image": image, **self._generating.encode(image)}
            return {**self._predict(located, intrinsics), **shown}

    def from_crop(self, image: tf.Tensor) -> Outputs:
        """Normalised crops of right hands."""
        return self._predictor.crops.predict(image)


def export_saved_model(
    run: Run,
    directory: str | pathlib.Path,
    confidence: Confidence | None = None,
    hands: int = USUAL_HANDS,
    explore: bool = False,
) -> pathlib.Path:
    """Writes `directory`/lsps/1, the layout of TensorFlow Serving.

    Signatures, all pure graphs with a dynamic batch:
        serving_default: depth_png_bytes [B] (16-bit grayscale PNG, or the NYU encoding; sizes may differ), intrinsics
            [B, 4] in pixels and depth_unit_mm [B], the mm of one count.
        serving_hinted: the same, and what serving_default does by itself: center_mm [B, 3], NaN where the hand is to
            be found, and hand [B], "right", "left", or "auto" to have it told. Signatures have no optional inputs,
            hence two.
        serving_hands: the same without the centre, of the N nearest hands.
        from_depth, from_depth_hinted, from_depth_hands: the same of depth_mm [B, H, W] in mm, 0 = no reading.
        from_crop: image [B, S, S, 1] in [-1, 1] to joints_norm [B, J, 3] in half cubes.
    The others give joints_mm [B, J, 3] and joints_uvd [B, J, 3], center_mm [B, 3] and presence [B], where it is False
    NaN; hand [B], the side, and right_logit [B], how much it looks like a right hand; cube_mm [B], the side of the cube
    around the centre; and, of NYU's joints, joints21_mm [B, 21, 3] in the order of `lsps_tf.skeleton.HAND21`. All give
    the confidence [B, J] of each joint where it is known. Of N hands all is [B, N] for [B], but for cube_mm. The assets
    are the description `lsps.json` and the model card; warm-up requests lie in `assets.extra`.

    With `explore` there are more, of a run that has trained E, G and M:
        generate: code [B, Z] to synthetic and real, [B, S, S, 1] both, and joints_norm [B, J, 3] in half cubes.
        decode_pose: the joints alone.
        encode: image [B, S, S, 1] of the sensor to its code, its reconstruction `real` and its translation `synthetic`.
        encode_png: inputs and outputs of serving_default, and those of encode with the crop, `image`.
        encode_angles: angles [B, A] and turn [B, 3], radians, of the simulator's hand to its code.
    A further asset, `codes.json`, says then where the codes of hands lie.

    Args:
        run: a loaded run.
        directory: where the folder `lsps` comes to lie.
        confidence: of the run's joints, None leaves it out.
        hands: N.
        explore: whether it is to generate, too.

    Returns:
        The folder of the version.

    Raises:
        InputError: where the disk is full or the folder cannot be written, or a run is to generate that cannot.
    """
    generating = Generating(run) if explore else None
    path = pathlib.Path(directory) / MODEL_NAME / VERSION
    with tempfile.TemporaryDirectory() as scratch, atomic_path(path) as partial, _full_disk(path):
        info_path, card_path = pathlib.Path(scratch) / ASSET_NAME, pathlib.Path(scratch) / CARD_NAME
        info_path.write_text(ModelInfo.of_run(run, hands=hands).to_json(), encoding="utf-8")
        write_card(run, card_path, confidence, hands)
        assets = [info_path, card_path]
        if explore:
            assets.append(pathlib.Path(scratch) / CODES_NAME)
            write_codes(run, generating, assets[-1])
        servable = Servable(run, predictor_of_run(run, confidence), assets, hands, generating)
        partial.mkdir()
        with plain_folder(partial) as plain:
            tf.saved_model.save(servable, plain, signatures=servable.signatures_by_name)
        write_warmup_requests(partial, servable.signatures_by_name)
    return path


@contextlib.contextmanager
def _full_disk(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        # TensorFlow's own name for a full disk.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _no_hints(intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Centres and hands of a batch about which nothing is known."""
    batch = tf.shape(intrinsics)[0]
    return tf.fill([batch, 3], float("nan")), tf.fill([batch], AUTO)


def _depth_mm(counts: tf.Tensor, unit_mm: tf.Tensor) -> tf.Tensor:
    """Depth [B, H, W] of counts [B, H, W] and the mm [B] of one; 0 where these are beyond all numbers."""
    most = tf.cast(counts.dtype.max, tf.float32)
    unit_mm = tf.where(tf.math.is_finite(most * unit_mm), unit_mm, 0.0)
    return tf.cast(counts, tf.float32) * unit_mm[:, None, None]


def _readings(depth_mm: tf.Tensor) -> tf.Tensor:
    """Depth whose pixels without a reading are 0, however they were marked."""
    return tf.where(tf.math.is_finite(depth_mm) & (depth_mm > 0.0), depth_mm, 0.0)


@contextlib.contextmanager
def _checked(**inputs: tf.Tensor) -> Iterator[None]:
    """What is computed within waits for the checks of the inputs, by their names."""
    asserted = []
    for name, value in inputs.items():
        is_right, needs = _CHECKS[name]
        asserted.append(tf.debugging.Assert(tf.reduce_all(is_right(value)), [f"{name}: {needs}, not", value]))
    with tf.control_dependencies(asserted):
        yield


def _is_camera(intrinsics: tf.Tensor) -> tf.Tensor:
    return tf.math.is_finite(intrinsics) & ((intrinsics > 0.0) | tf.constant([False, False, True, True]))


def _is_center(center_mm: tf.Tensor) -> tf.Tensor:
    unknown, known = tf.math.is_nan(center_mm), tf.math.is_finite(center_mm)
    return tf.reduce_all(unknown, axis=1) | (tf.reduce_all(known, axis=1) & (center_mm[:, 2] > 0.0))


_CHECKS = {
    "intrinsics": (_is_camera, "fx, fy, cx, cy must be finite, and the focal lengths fx, fy more than 0 pixels"),
    "depth_unit_mm": (lambda unit: tf.math.is_finite(unit) & (unit > 0.0), "the mm of one count must be more than 0"),
    "center_mm": (_is_center, "x, y, z must be finite with z more than 0, or all NaN where the hand is to be found"),
    "hand": (
        lambda hand: tf.reduce_any(tf.equal(hand[:, None], HAND_SETTINGS), axis=1),
        "it must be right, left or auto",
    ),
}
