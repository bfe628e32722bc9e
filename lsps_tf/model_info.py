"""What an exported model says about itself: a small JSON, in the SavedModel's assets and inside the TFLite file.

It can be read without TensorFlow. `format`, `version`, then the skeleton's name, `joint_names`, `bones`, the crop's
`image_size` (pixels), `cube_mm` and `centering`, the `numbers` of weights and activations, how many `hands` it finds in
a frame, in `units` what each tensor holds, and the `limits` of what it was made for.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from lsps_tf.errors import InputError
from lsps_tf.files import parse_json
from lsps_tf.hand import MOST_HANDS
from lsps_tf.skeleton import SKELETONS, Skeleton

# The description must stay readable where TensorFlow is not installed.
if TYPE_CHECKING:
    from lsps_tf.run_folder import Run

# What a found hand's crop is centred on: its centre of mass without the forearm, or the mean of its joints, as found.
MASS, JOINTS = CENTERINGS = ("mass", "joints")

FORMAT = "lsps-model"
VERSION = 1
# Name of the entry in a TFLite file's metadata, and of the file among a SavedModel's assets.
TFLITE_ENTRY = "lsps"
ASSET_NAME = "lsps.json"
TFLITE_IDENTIFIER = b"TFL3"

# What the numbers of a TFLite file are. The first computes what the run does; the others are smaller or faster.
FLOAT32, FLOAT16, DYNAMIC, INT8 = VARIANTS = ("float32", "float16", "dynamic", "int8")

# The kind that ships: its joints are as good as those of the run, and it is three times as fast on a CPU.
SHIPPED_NUMBERS = DYNAMIC

# Names of the exported model and of its signatures.
MODEL_NAME = "lsps"
FROM_PNG, FROM_PNG_HINTED = "serving_default", "serving_hinted"
FROM_DEPTH, FROM_DEPTH_HINTED = "from_depth", "from_depth_hinted"
FROM_PNG_HANDS, FROM_DEPTH_HANDS = "serving_hands", "from_depth_hands"
FROM_CROP = "from_crop"
# Those of a model that generates (`export/run.py --explore`), and the asset that says where codes of hands lie.
DECODE_POSE, GENERATE, ENCODE, ENCODE_PNG = "decode_pose", "generate", "encode", "encode_png"
ENCODE_ANGLES = "encode_angles"
CODES_NAME = "codes.json"

_UNITS = {
    "image": "[B, S, S, 1] crop in [-1, 1]: (depth_mm - center z) / (cube_mm / 2), 1 = background or no reading",
    "depth_png_bytes": "[B] PNG, 16-bit grayscale, or 8-bit RGB with counts of 256 * green + blue; 0 = no reading",
    "depth_unit_mm": "[B] mm of one count",
    "depth_mm": "[B, H, W] mm along z, 0 = no reading",
    "intrinsics": "[B, 4] fx, fy, cx, cy in pixels, pixel centers at integers",
    "joints_norm": "[B, J, 3] (joints_mm - center_mm) / (cube_mm / 2)",
    "joints_mm": "[B, J, 3] camera space in mm: x right, y down, z forward",
    "joints_uvd": "[B, J, 3] u, v in pixels of the frame, depth in mm",
    "center_mm": "[B, 3] center of the hand's cube, camera space in mm",
    "hand": "[B] 'right' or 'left', or 'auto' as an input, to have it told; '' as an output where no hand was found",
    "right_logit": "[B] above 0 where it looks like a right hand, 0 where that was not looked at; adds up in sequences",
    "joints21_mm": "[B, 21, 3] wrist, thumb, index, middle, ring, pinky from the palm outwards; of NYU's joints",
    "cube_mm": "[B] side of the cube around center_mm that the network sees",
    "presence": "[B] whether a hand was found; where it was not, the others are NaN, the confidence 0",
    "code": "[B, Z] pose latent; the asset codes.json says where codes of hands lie",
    "synthetic": "[B, S, S, 1] as image, as the simulator would show the hand",
    "real": "[B, S, S, 1] as image, as the sensor would show the hand",
    "angles": "[B, A] radians, of the simulated hand's joints in the order of codes.json",
    "turn": "[B, 3] radians: about the camera's axis, about the image's x, about the image's y; in this order",
    "confidence": "[B, J] probability that the joint lies within 20 mm of its place",
}
_LIMITS = {
    "hands": "between 100 and 3000 mm from the camera; the nearest, or the N nearest: then [B, N] for [B]",
    "frame": "at least 32x32 pixels; made for 240 to 480 rows",
    "counts": "16 bits; depth_unit_mm of 1 reaches 65 m, of 0.125 (Intel SR305) 8 m",
    "camera": "a pinhole without distortion; undistort frames before",
}


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What is needed around an exported model.

    Attributes:
        skeleton: the joints' layout.
        image_size: S, pixels of the crop's side.
        cube_mm: side of the crop's cube in mm.
        numbers: what the weights and activations are: "float32", "float16", "dynamic" or "int8".
        hands: how many are found in a frame at most.
        centering: what the crop of a found hand is centred on, one of CENTERINGS.
    """

    skeleton: Skeleton
    image_size: int
    cube_mm: float
    numbers: str = "float32"
    hands: int = MOST_HANDS
    centering: str = MASS

    @classmethod
    def of_run(cls, run: Run, numbers: str = "float32", hands: int = MOST_HANDS) -> ModelInfo:
        data, centering = run.config.data, run.settings.centering
        return cls(run.skeleton, data.image_size, data.cube_mm, numbers, hands, centering)

    def to_json(self) -> str:
        values = {
            "format": FORMAT,
            "version": VERSION,
            "skeleton": self.skeleton.name,
            "joint_names": self.skeleton.joint_names,
            "bones": self.skeleton.bones,
            "image_size": self.image_size,
            "cube_mm": self.cube_mm,
            "numbers": self.numbers,
            "hands": self.hands,
            "centering": self.centering,
            "units": _UNITS,
            "limits": _LIMITS,
        }
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, path: str | pathlib.Path) -> ModelInfo:
        """Inverse of `to_json`; InputError, naming `path`, where the text is damaged or of another version."""
        try:
            values: dict[str, Any] = parse_json(text)
            if (values["format"], values["version"]) != (FORMAT, VERSION):
                raise InputError(
                    f"{path}: made by version {values['version']} of {values['format']}, this program reads version "
                    f"{VERSION} of {FORMAT}; export the run again"
                )
            if values["skeleton"] not in SKELETONS:
                raise InputError(
                    f"{path}: the model's skeleton '{values['skeleton']}' is unknown here; this program knows "
                    f"{' and '.join(SKELETONS)}"
                )
            sizes = int(values["image_size"]), float(values["cube_mm"])
            hands = int(values.get("hands", MOST_HANDS))
            # Models from before this was said are of crops around the centre of mass.
            centering = str(values.get("centering", MASS))
            if centering not in CENTERINGS:
                raise ValueError(f"crops are centred on '{centering}'")
            return cls(SKELETONS[values["skeleton"]], *sizes, str(values["numbers"]), hands, centering)
        except InputError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: the model's description is damaged ({error}); export the run again") from error


def tflite_name(numbers: str) -> str:
    """`lsps.tflite` for float32, `lsps-NUMBERS.tflite` for the others."""
    return f"{MODEL_NAME}.tflite" if numbers == FLOAT32 else f"{MODEL_NAME}-{numbers}.tflite"


def embed_info(tflite_model: bytes, info: ModelInfo) -> bytes:
    """The TFLite file `tflite_model` with the description added to its metadata."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(tflite_model), 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(info.to_json().encode())
    entry.name, entry.buffer = TFLITE_ENTRY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(tflite_model))
    builder.Finish(model.Pack(builder), file_identifier=TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def read_tflite_info(path: str | pathlib.Path) -> ModelInfo:
    """Reads what `embed_info` added, without TensorFlow.

    Raises:
        InputError: where the file is no TFLite model, damaged, or one that this project did not export.
    """
    content = pathlib.Path(path).read_bytes()
    if content[4:8] != TFLITE_IDENTIFIER:
        raise InputError(f"{path}: this is no TFLite model; give one that export/run.py wrote")
    text = _find_entry(content, path)
    if text is None:
        raise InputError(f"{path}: this TFLite model was not exported by export/run.py; export a run with it")
    return ModelInfo.from_json(text, path)


def _find_entry(content: bytes, path: str | pathlib.Path) -> bytes | None:
    # The flatbuffers package raises whatever its reads beyond the end happen to raise.
    try:
        model = schema.Model.GetRootAs(content, 0)
        for number in range(model.MetadataLength()):
            entry = model.Metadata(number)
            if entry.Name() == TFLITE_ENTRY.encode():
                return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    except Exception as error:
        raise InputError(f"{path}: the TFLite model is truncated or damaged; export the run again") from error
    return None
