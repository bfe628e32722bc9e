"""Every operation of the stages' steps, augmentation included, has a GPU kernel in TensorFlow's wheel.

An operation without one moves its tensors from the GPU to the host and back in each step. TensorFlow's registry of
kernels says which have one, on any machine.
"""

import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import kernels

from lsps_tf.datasets.store import stored_size
from lsps_tf.networks import build_networks
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import RunSettings
from training.methods import METHODS
from training.plan import StageInputs

TINY = PRESETS["tiny"].replace(lambda_7_made=1.0, lambda_7_randomized=1.0, clip_norm=1.0, decay="cosine")
# "DEFAULT" kernels run where the operation is placed. Their tensors of whole numbers may lie on the host, where they
# are shapes and seeds.
ON_GPU = {"GPU", "DEFAULT"}
# What may lack a kernel, and why that costs nothing.
WITHOUT = {}
STAGES = [("lsps", "pose"), ("lsps", "depth"), ("lsps", "posterior"), ("crossing-nets", "depth")]


def raw_batch(streams):
    """What the pipeline hands to a step, as shapes."""
    size, batch = stored_size(TINY.data.image_size), {"seed": tf.TensorSpec([2], tf.int32)}
    for name, stream in streams.items():
        shapes = {"joints_mm": (TINY.network.num_joints, 3), "center_mm": (3,), "cube_mm": (), "extent_mm": ()}
        if stream.images:
            shapes["depth_mm"] = (size, size)
        batch[name] = {key: tf.TensorSpec((stream.batch, *shape), tf.float32) for key, shape in shapes.items()}
    return batch


def step_nodes(method, stage):
    """The operations of a stage's step, those of functions that it calls included."""
    networks = build_networks(TINY.network, TINY.data.image_size, seed=0)
    settings = RunSettings(TINY, method, "nyu", "sim", "", labels=1.0)
    plan = METHODS[method].build(stage, StageInputs(stage, settings, networks, None, (0, 1)))
    step = tf.function(plan.model.train_step).get_concrete_function(raw_batch(plan.streams))
    graph = step.graph.as_graph_def()
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def has_gpu_kernel(node):
    """Whether a kernel for a GPU takes the operation's types."""

    def fits(constraint):
        value = node.attr[constraint.name]
        types = value.list.type if value.WhichOneof("value") == "list" else [value.type]
        return set(types) <= set(constraint.allowed_values.list.type)

    registered = kernels.get_registered_kernels_for_op(node.op).kernel
    return any(kernel.device_type in ON_GPU and all(map(fits, kernel.constraint)) for kernel in registered)


@pytest.mark.parametrize(("method", "stage"), STAGES)
def test_every_operation_of_a_step_has_a_gpu_kernel(method, stage):
    nodes = step_nodes(method, stage)
    assert stage == "pose" or {"Conv2D", "ResourceApplyAdam"} <= {node.op for node in nodes}
    assert stage == "pose" or any("ImageProjectiveTransformV3" in node.op for node in nodes)
    assert {node.op for node in nodes if not has_gpu_kernel(node)} <= set(WITHOUT)


def test_the_registry_tells_kernels_apart():
    graph = tf.Graph()
    with graph.as_default():
        tf.raw_ops.Conv2D(input=tf.zeros((1, 4, 4, 1)), filter=tf.zeros((3, 3, 1, 1)), strides=[1] * 4, padding="SAME")
        tf.raw_ops.DecodePng(contents=tf.constant(""))
    nodes = {node.op: node for node in graph.as_graph_def().node}
    assert has_gpu_kernel(nodes["Conv2D"]) and not has_gpu_kernel(nodes["DecodePng"])
    nodes["Conv2D"].attr["T"].type = types_pb2.DT_STRING
    assert not has_gpu_kernel(nodes["Conv2D"])
