"""The signatures of a SavedModel, by their inputs and outputs, and how a test calls one."""

import tensorflow as tf

SIGNATURES = {
    "serving_default": {"depth_png_bytes", "intrinsics", "depth_unit_mm"},
    "serving_hinted": {"depth_png_bytes", "intrinsics", "depth_unit_mm", "center_mm", "hand"},
    "serving_hands": {"depth_png_bytes", "intrinsics", "depth_unit_mm", "hand"},
    "from_depth": {"depth_mm", "intrinsics"},
    "from_depth_hinted": {"depth_mm", "intrinsics", "center_mm", "hand"},
    "from_depth_hands": {"depth_mm", "intrinsics", "hand"},
    "from_crop": {"image"},
}
OUTPUTS = {"joints_mm", "joints21_mm", "joints_uvd", "center_mm", "cube_mm", "presence", "confidence"}
OUTPUTS |= {"hand", "right_logit"}


def call(model, signature, **inputs):
    """Runs a signature on rows."""
    specs = model.signatures[signature].structured_input_signature[1]
    tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in model.signatures[signature](**tensors).items()}
