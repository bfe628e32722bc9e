"""The requests that a SavedModel brings along so that the first one of a user is not slow.

The file is TensorFlow Serving's, a TFRecord of PredictionLog; of its messages, only what is read here is declared.
https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from export.serving.formats import DEFAULT_SIGNATURE, Arrays

WARMUP_FILE = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
MOST_REQUESTS = 1000
_PACKAGE = "lsps.serving.warmup"
_FIELD = descriptor_pb2.FieldDescriptorProto


def read_warmup_requests(path: pathlib.Path) -> Iterator[tuple[str, Arrays]]:
    """Signature and inputs of each request of a SavedModel's folder; nothing where it has none.

    Raises:
        tf.errors.OpError, google.protobuf.message.DecodeError: where the file is damaged.
    """
    file = path / WARMUP_FILE
    if not file.is_file():
        return
    log_class = prediction_log_class()
    for record in tf.data.TFRecordDataset(str(file)).take(MOST_REQUESTS).as_numpy_iterator():
        request = log_class.FromString(record).predict_log.request
        inputs = {name: np.asarray(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        yield request.model_spec.signature_name or DEFAULT_SIGNATURE, inputs


def prediction_log_class() -> type:
    """The message tensorflow.serving.PredictionLog as far as predict requests go; the bytes are the same."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName(f"{_PACKAGE}.proto")
    except KeyError:
        pool.Add(_declaration())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PredictionLog"))


def _declaration() -> descriptor_pb2.FileDescriptorProto:
    tensor = tensor_pb2.TensorProto.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(tensor.file.name)
    _add_message(file, "ModelSpec", ("name", 1, "string"), ("signature_name", 3, "string"))
    request = _add_message(file, "PredictRequest", ("model_spec", 1, f".{_PACKAGE}.ModelSpec"))
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    _add_field(entry, "key", 1, "string")
    _add_field(entry, "value", 2, f".{tensor.full_name}")
    _add_field(request, "inputs", 2, f".{_PACKAGE}.PredictRequest.InputsEntry").label = _FIELD.LABEL_REPEATED
    _add_message(file, "PredictLog", ("request", 1, f".{_PACKAGE}.PredictRequest"))
    _add_message(file, "PredictionLog", ("predict_log", 6, f".{_PACKAGE}.PredictLog"))
    return file


def _add_message(file: descriptor_pb2.FileDescriptorProto, name: str, *fields) -> descriptor_pb2.DescriptorProto:
    message = file.message_type.add(name=name)
    for field in fields:
        _add_field(message, *field)
    return message


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str):
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind == "string":
        field.type = _FIELD.TYPE_STRING
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, kind
    return field
