"""What differs between the two stacks of TensorFlow; the one module that decides it. Importing it loads no TensorFlow.

The default stack is TensorFlow 2.15 with its own Keras 2 and with TensorFlow Addons. Later TensorFlows bring Keras 3,
and no Addons. There the networks use Keras 2 from the package `tf_keras`, and crops are warped by TensorFlow's own
operation, which is the one that Addons calls.
"""

from __future__ import annotations

import importlib.machinery
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from lsps_tf.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
TRANSFORM = "LSPS_TRANSFORM"
ADDONS, RAW = "addons", "raw"

# Images [B, H, W, C], matrices [B, 8] from output to input pixels, and (height, width), to [B, height, width, C].
Transform = Callable[["tf.Tensor", "tf.Tensor", tuple[int, int]], "tf.Tensor"]


def prefer_keras_2() -> None:
    """Asks TensorFlow for Keras 2 where the package `tf_keras` is installed; a user's own choice stays.

    TensorFlow reads the variable when its Keras is first used, and when it is imported. `import lsps_tf` calls this.
    """
    if _is_installed("tf_keras"):
        os.environ.setdefault(LEGACY_KERAS, "1")


def check_keras() -> None:
    """Holds that `tensorflow.keras` is the Keras 2 that belongs to the installed TensorFlow.

    Raises:
        InputError: where it is Keras 3, is missing, or belongs to another TensorFlow.
    """
    import importlib.metadata

    import tensorflow as tf

    version = tf.__version__
    minor = ".".join(version.split(".")[:2])
    install = f"pip install 'tf_keras=={minor}.*'"
    try:
        package = tf.keras.Model.__module__.split(".")[0]
    except ImportError as error:
        raise InputError(f"TensorFlow {version} finds no Keras 2 for the networks; {install}") from error
    found = importlib.metadata.version(package)
    if found.startswith(f"{minor}."):
        return
    if not found.startswith("3."):
        raise InputError(f"{package} {found} does not belong to TensorFlow {version}; {install}")
    if not _is_installed("tf_keras"):
        raise InputError(f"TensorFlow {version} has Keras {found}, and the networks need Keras 2; {install}")
    if os.environ[LEGACY_KERAS].lower() not in ("1", "true"):
        raise InputError(
            f"{LEGACY_KERAS}={os.environ[LEGACY_KERAS]}: this gives Keras {found}, and the networks need Keras 2; "
            "unset it, or set it to 1"
        )
    raise InputError(
        f"Keras {found} was in use before lsps_tf was imported, and the networks need Keras 2; import lsps_tf before "
        f"TensorFlow, or set {LEGACY_KERAS}=1 before Python starts"
    )


def projective_transform() -> Transform:
    """What warps images by the nearest pixel, zero outside: Addons where it imports, TensorFlow's operation elsewhere.

    Both give the same bits. The environment variable LSPS_TRANSFORM (`addons` or `raw`) asks for one of them.

    Raises:
        InputError: where Addons is asked for and does not import, or where LSPS_TRANSFORM is neither.
    """
    asked = os.environ.get(TRANSFORM, "")
    if asked not in ("", ADDONS, RAW):
        raise InputError(f"{TRANSFORM}={asked}: there is no such transform; give {ADDONS} or {RAW}, or unset it")
    if asked == RAW:
        return _raw_transform
    try:
        return _addons_transform()
    except ImportError as error:
        if asked == ADDONS:
            raise InputError(
                f"{TRANSFORM}={ADDONS}: TensorFlow Addons does not import here ({error}); it works with TensorFlow "
                f"2.15 alone: unset {TRANSFORM}, or set it to {RAW}"
            ) from error
        return _raw_transform


def _is_installed(package: str) -> bool:
    return importlib.machinery.PathFinder.find_spec(package) is not None


def _addons_transform() -> Transform:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Its end-of-life banner; nothing that a user can act on.
        from tensorflow_addons.image import transform

    def addons_transform(images: tf.Tensor, matrices: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
        return transform(images, matrices, interpolation="nearest", output_shape=size)

    return addons_transform


def _raw_transform(images: tf.Tensor, matrices: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    import tensorflow as tf

    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=matrices,
        output_shape=size,
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
