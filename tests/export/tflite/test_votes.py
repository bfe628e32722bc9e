"""TFLite files of a network whose P votes."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export.tflite.calibration import calibration_images
from export.tflite.convert import export_tflite
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.model_info import VARIANTS
from lsps_tf.run_folder import load_run
from tests.conftest import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, hands_store):
    folder = tmp_path_factory.mktemp("voting")
    return load_run(write_run(folder, str(hands_store), discriminator_repeats=1, vote_widths=(6, 5)))


@pytest.fixture(scope="module")
def images(run):
    return calibration_images(run)


@pytest.fixture(scope="module")
def paths(run, images, tmp_path_factory):
    return dict(zip(VARIANTS, export_tflite(run, tmp_path_factory.mktemp("files"), VARIANTS, images)))


@pytest.mark.parametrize(
    ("variant", "allowed"), [("float32", 1e-5), ("float16", 2e-3), ("dynamic", 4e-2), ("int8", 5e-2)]
)
def test_files_give_the_joints_of_the_run(run, images, paths, variant, allowed):
    expected = run.networks.predict_joints(images, run.domain).numpy()
    network = TfliteNetwork(paths[variant])
    difference = np.stack([network(image)[0] for image in images]) - expected
    assert np.linalg.norm(difference, axis=-1).mean() <= allowed < np.linalg.norm(expected.std(axis=0), axis=-1).mean()


def test_an_integer_file_computes_with_integers_alone(paths):
    model = schema.ModelT.InitFromPackedBuf(bytearray(paths["int8"].read_bytes()), 0)
    (graph,) = model.subgraphs
    kinds = {tensor.type for tensor in graph.tensors}
    assert kinds <= {schema.TensorType.INT8, schema.TensorType.INT32}, kinds
    (tensor,) = Interpreter(model_path=str(paths["int8"])).get_input_details()
    scale, zero = tensor["quantization"]
    # The background is within a step of the greatest number, and the nearest readings are not cut off.
    assert tensor["dtype"] == np.int8 and abs((127 - zero) * scale - 1.0) <= scale <= 2 / 254
