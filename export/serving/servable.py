"""One loaded version of a model: its signatures as the SavedModel declares them, and how to run them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from export.serving.errors import code_of, first_line, invalid
from export.serving.formats import DEFAULT_SIGNATURE, Arrays
from export.serving.tensors import TensorSpec, check_shape
from export.serving.warmup import read_warmup_requests
from lsps_tf.errors import InputError
from lsps_tf.model_manifest import check_hash
from lsps_tf.tensorflow_paths import plain_folder

# As TensorFlow writes these types in messages; the other names agree with `tf.DType.name`.
_MESSAGE_NAMES = {"float32": "float", "float64": "double", "float16": "half"}


class LoadError(Exception):
    """A version that cannot be loaded. `code` is google.rpc's."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """A function of a SavedModel.

    Attributes:
        name: in the SavedModel.
        inputs: by name.
        outputs: by name.
        function: the concrete function.
        fragile: whether shapes must be the signature's, so that the graph does not end the process.
        batches: whether rows of several requests may run together: all inputs and outputs have a free first axis.
    """

    name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    function: Any
    fragile: bool

    @property
    def batches(self) -> bool:
        specs = [*self.inputs.values(), *self.outputs.values()]
        return all(spec.shape is not None and spec.shape[:1] == (None,) for spec in specs)

    def check_shapes(self, inputs: Arrays) -> None:
        """ServingError 400 where the shapes of inputs could harm. What else is wrong with them, the graph says."""
        if self.fragile:
            for name, array in inputs.items():
                check_shape(self.inputs[name], array)

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name, in the order of their names. Raises what TensorFlow raises."""
        types = self.function.structured_input_signature[1]
        tensors = {name: tf.constant(array, types[name].dtype) for name, array in inputs.items()}
        outputs = self.function(**tensors)
        return {name: _array_of(outputs[name]) for name in sorted(outputs)}


@dataclasses.dataclass(frozen=True, eq=False)
class Servable:
    """A loaded version.

    Attributes:
        signatures: by name.
        metadata: all of the SavedModel's signatures as protobuf JSON with original field names.
        model: keeps the variables alive.
    """

    signatures: dict[str, Signature]
    metadata: dict[str, Any]
    model: Any

    def signature(self, name: str) -> Signature:
        """The signature of a name, "" for the default one; ServingError 400 where there is none."""
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise invalid(f'Serving signature name: "{name[:200]}" not found in signature def')
        return self.signatures[name]


def load_servable(path: pathlib.Path, expected: tuple[str, ...] = ()) -> Servable:
    """Loads a SavedModel, of which only graphs are run, and runs the warm-up requests that it brings along.

    Args:
        path: of a version.
        expected: hashes, of which it has to have one; empty takes any.

    Raises:
        LoadError: where it is no SavedModel, its hash is another, it is incomplete or damaged, or a warm-up request
            fails.
    """
    if expected:
        _check_hash(path, expected)
    graph = _read_graph(path)
    definitions, fragile = dict(graph.signature_def), _is_fragile(graph)
    try:
        with plain_folder(path) as plain:
            model = tf.saved_model.load(plain)
        signatures = {
            name: _signature(name, definitions[name], function, fragile) for name, function in model.signatures.items()
        }
    except Exception as error:
        raise LoadError(code_of(error), f"the SavedModel is incomplete or damaged ({first_line(error)})") from error
    if not signatures:
        raise LoadError(9, "the SavedModel has no signatures")
    # Default values and names as in the message are asked for by position: protobuf 5 renamed the first argument.
    metadata = {name: MessageToDict(definition, True, True) for name, definition in definitions.items()}
    servable = Servable(signatures, metadata, model)
    _warm_up(servable, path)
    return servable


def _check_hash(path: pathlib.Path, expected: tuple[str, ...]) -> None:
    try:
        check_hash(path, expected)
    except InputError as error:
        # The folder's name stands before what is said of a version.
        raise LoadError(9, str(error).removeprefix(f"{path}: ")) from error


def _is_fragile(graph: meta_graph_pb2.MetaGraphDef) -> bool:
    """Whether an operation finds its axes by a data format, as convolutions, pooling and biases do.

    Such an operation does not look whether a tensor has that axis: without it, TensorFlow ends the whole process.
    """
    operations = graph.meta_info_def.stripped_op_list.op
    return not operations or any(attr.name == "data_format" for operation in operations for attr in operation.attr)


def _read_graph(path: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
    file = path / "saved_model.pb"
    if not file.is_file():
        raise LoadError(5, "there is no saved_model.pb, so this is no SavedModel or its copy is not complete")
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise LoadError(15, "saved_model.pb is truncated, damaged or of another program") from error
    for graph in saved_model.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return graph
    raise LoadError(5, "saved_model.pb holds no model for serving (none with the tag 'serve')")


def _array_of(tensor: tf.Tensor) -> np.ndarray:
    value = tensor.numpy()
    # NumPy's own type for bytes drops zeros at their end.
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def _signature(name: str, definition: Any, function: Any, fragile: bool) -> Signature:
    inputs = {key: _spec(key, info) for key, info in definition.inputs.items()}
    outputs = {key: _spec(key, info) for key, info in definition.outputs.items()}
    return Signature(name, inputs, outputs, function, fragile)


def _spec(name: str, info: Any) -> TensorSpec:
    dtype = tf.dtypes.as_dtype(info.dtype).name
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(name, _MESSAGE_NAMES.get(dtype, dtype), shape)


def _warm_up(servable: Servable, path: pathlib.Path) -> None:
    try:
        for name, inputs in read_warmup_requests(path):
            servable.signatures[name].run(inputs)
    except Exception as error:
        raise LoadError(code_of(error), f"a warm-up request fails ({first_line(error)})") from error
