"""Small SavedModels that the contract tests ask, for this project's server and for the real one.

    python tests/export/serving/toy_models.py DIR

The head of test_contract.py says how the real server takes them.
"""

from __future__ import annotations

import pathlib
import sys

import tensorflow as tf

FLOAT_ROW = tf.TensorSpec([None, 3], tf.float32, "x")


def write_toy_models(directory: pathlib.Path, base_path: str | None = None) -> pathlib.Path:
    """Writes the models `toy` (versions 1 and 2) and `image` under `directory`, and the real server's models.config.

    `base_path` is the folder as that server sees it, where it is another.
    """
    for version in (1, 2):
        save_toy(directory / "toy" / str(version), version)
    save_image(directory / "image" / "1")
    base = base_path or str(directory.resolve())
    config = "".join(_config(name, f"{base}/{name}", extra) for name, extra in (("toy", _TOY), ("image", "")))
    (directory / "models.config").write_text(f"model_config_list {{\n{config}}}\n", encoding="utf-8")
    return directory


_TOY = """    model_version_policy { all {} }
    version_labels { key: "stable" value: 1 }
"""


def _config(name: str, path: str, extra: str) -> str:
    return f'  config {{\n    name: "{name}"\n    base_path: "{path}"\n    model_platform: "tensorflow"\n{extra}  }}\n'


def save_toy(path: pathlib.Path, version: int) -> None:
    """A model of signatures for every kind of tensor; `serving_default` gives 2 x + version."""
    module = tf.Module()
    weight = tf.Variable(2.0)
    number = tf.Variable(float(version))
    module.variables_ = [weight, number]
    functions = {
        "serving_default": (lambda x: {"y": weight * x + number}, [FLOAT_ROW]),
        "two": (
            lambda a, n: {"total": tf.reduce_sum(a, 1) + tf.cast(n, tf.float32), "n_next": n + 1},
            [tf.TensorSpec([None, 2], tf.float32, "a"), tf.TensorSpec([None], tf.int32, "n")],
        ),
        "text": (
            lambda word, raw_bytes: {"greeting": "hello " + word, "same_bytes": raw_bytes},
            [tf.TensorSpec([None], tf.string, "word"), tf.TensorSpec([None], tf.string, "raw_bytes")],
        ),
        "types": (
            lambda i8, u8, i64, flag, wide: {"i8": i8, "u8": u8, "i64": i64, "flag": flag, "wide": wide},
            [
                tf.TensorSpec([None], tf.int8, "i8"),
                tf.TensorSpec([None], tf.uint8, "u8"),
                tf.TensorSpec([None], tf.int64, "i64"),
                tf.TensorSpec([None], tf.bool, "flag"),
                tf.TensorSpec([None], tf.float64, "wide"),
            ],
        ),
        "scalar": (lambda x: {"total": tf.reduce_sum(x)}, [FLOAT_ROW]),
        "uneven": (lambda x: {"a": x, "b": tf.concat([x, x], 0)}, [FLOAT_ROW]),
        "fixed": (lambda x: {"y": x + 1.0}, [tf.TensorSpec([2, 3], tf.float32, "x")]),
        "any": (lambda x: {"y": tf.identity(x)}, [tf.TensorSpec(None, tf.float32, "x")]),
        "apart": (
            lambda a, b: {"a2": 2.0 * a, "b2": 2.0 * b},
            [tf.TensorSpec([None], tf.float32, "a"), tf.TensorSpec([None], tf.float32, "b")],
        ),
        "constant": (lambda: {"y": tf.constant([1.0])}, []),
        "gives_half": (lambda x: {"y": tf.cast(x, tf.float16)}, [FLOAT_ROW]),
        "gives_uint16": (lambda x: {"y": tf.cast(x, tf.uint16)}, [FLOAT_ROW]),
        "gives_complex64": (lambda x: {"y": tf.complex(x, x)}, [FLOAT_ROW]),
        "half": (lambda x: {"y": tf.cast(x, tf.float32)}, [tf.TensorSpec([None], tf.float16, "x")]),
        "positive": (_positive, [FLOAT_ROW]),
        "slow": (_slow, [tf.TensorSpec([None], tf.int32, "rounds")]),
    }
    signatures = {name: tf.function(f, input_signature=specs) for name, (f, specs) in functions.items()}
    module.functions_ = signatures
    concrete = {name: function.get_concrete_function() for name, function in signatures.items()}
    tf.saved_model.save(module, str(path), signatures=concrete)


def save_image(path: pathlib.Path) -> None:
    """A model with the inputs of this project's `serving_default`; it gives the mean depth of each frame in mm."""
    module = tf.Module()
    specs = [
        tf.TensorSpec([None], tf.string, "depth_png_bytes"),
        tf.TensorSpec([None, 4], tf.float32, "intrinsics"),
        tf.TensorSpec([None], tf.float32, "depth_unit_mm"),
    ]
    module.mean = tf.function(_mean_depth, input_signature=specs)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.mean.get_concrete_function()})


def _positive(x: tf.Tensor) -> dict[str, tf.Tensor]:
    with tf.control_dependencies([tf.debugging.assert_greater(x, 0.0, message="x must be positive")]):
        return {"root": tf.sqrt(x)}


def _slow(rounds: tf.Tensor) -> dict[str, tf.Tensor]:
    """Multiplies matrices, `rounds` times: time that nothing optimises away."""
    start = tf.eye(128)
    count = tf.reduce_max(rounds)
    _, value = tf.while_loop(lambda i, _: i < count, lambda i, v: (i + 1, v @ start), (0, start))
    return {"done": rounds + tf.cast(tf.reduce_max(value) - 1.0, tf.int32)}


def _mean_depth(depth_png_bytes: tf.Tensor, intrinsics: tf.Tensor, depth_unit_mm: tf.Tensor) -> dict[str, tf.Tensor]:
    def mean(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        counts = tf.io.decode_png(row[0], channels=1, dtype=tf.uint16)
        return tf.reduce_mean(tf.cast(counts, tf.float32)) * row[1]

    finite = tf.debugging.assert_all_finite(intrinsics, "intrinsics must be finite")
    positive = tf.debugging.assert_positive(intrinsics[:, :2], "focal lengths must be positive")
    with tf.control_dependencies([finite, positive]):
        mean_mm = tf.map_fn(mean, (depth_png_bytes, depth_unit_mm), fn_output_signature=tf.float32)
    return {"mean_mm": mean_mm, "focal_px": intrinsics[:, 0]}


if __name__ == "__main__":
    write_toy_models(pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
