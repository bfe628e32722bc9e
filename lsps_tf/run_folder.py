"""A run's folder: its resolved settings, the weights after each stage, and how to load the result.

settings.json            everything the run was asked for, resolved
weights/STAGE.h5         all networks' weights after a stage, plain arrays by name
checkpoints/STAGE/       what a stopped stage goes on from (weights, optimizers, position), the last two
nonfinite/               the batches around a step with a loss that is no number
metrics.jsonl            a line per logged step
tensorboard/, pictures/  the same for the eye
verdict.json             of a run on one's own recording: whether adaptation helped
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsps_tf import skeleton
from lsps_tf.config import Config
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, locked, parse_json, read_text, write_json
from lsps_tf.old_settings import from_version_1

# Settings are read by commands that must start at once; TensorFlow and HDF5 are imported where weights are.
if TYPE_CHECKING:
    from lsps_tf.networks import Networks

FORMAT = "lsps-run"
# The trained run that comes with the program (training/ship.py made it; trained/README.md is its card).
SHIPPED = pathlib.Path(__file__).with_name("trained") / "desk"
# The one that comes with the program for generating: it has trained E, G and M.
GENERATING = SHIPPED.with_name("structured-light")
VERSION = 2


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Everything a run was asked for.

    Attributes:
        config: sizes, weights and schedule.
        method: its name, as the command line takes it.
        skeleton: name of the joints' layout.
        dataset: as given, such as "sim".
        store: path of the HDF5 store.
        sensor: the simulator's sensor model, "" for recorded data.
        labels: of the real labels that the run may use: a fraction up to 1, or above 1 a number of frames.
        frames: how many frames of each split it uses, the first ones; the store may grow while it is stopped.
        stages: what the run trains, in order.
        pretrained: a run folder whose weights it starts from, "" for none.
        pretrained_stage: the stage of that run.
        method_title: the method in words.
        last_stage: the stage whose weights are the method's result; `stages` may end before it.
        domain: the domain whose trunk predicts real frames, "real" or "synthetic".
        centering: what the crops that it trains on are centred on: "mass", of what a sensor sees of the hand without
            its forearm, or "joints", their mean.
        changes: what was changed since the run began: per setting its name ("setting"), its values ("before",
            "after"), and the "stage" and "step" from which on it holds.
        stream: whether the simulator feeds the training, without end; the store then holds frames to test on alone.
    """

    config: Config
    method: str
    skeleton: str
    dataset: str
    store: str
    sensor: str = ""
    labels: float = 0.0
    frames: dict[str, int] = dataclasses.field(default_factory=dict)
    stages: tuple[str, ...] = ()
    pretrained: str = ""
    pretrained_stage: str = ""
    method_title: str = ""
    last_stage: str = "posterior"
    domain: str = "real"
    centering: str = "mass"
    changes: tuple[dict[str, Any], ...] = ()
    stream: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSettings:
        fields = {field.name for field in dataclasses.fields(cls)}
        named = {name: value for name, value in values.items() if name in fields}
        # Without these a run would predict with other weights than its own.
        needed = {name: values[name] for name in ("last_stage", "domain")}
        config, stages = Config.from_dict(values["config"]), tuple(values["stages"])
        changes = tuple(values.get("changes", ()))
        return cls(**{**named, **needed, "config": config, "stages": stages, "changes": changes})


@dataclasses.dataclass(frozen=True)
class Run:
    """A loaded run: its settings, and the networks with the weights of its last finished stage."""

    directory: pathlib.Path
    settings: RunSettings
    networks: Networks

    @property
    def config(self) -> Config:
        return self.settings.config

    @property
    def skeleton(self) -> skeleton.Skeleton:
        return skeleton.SKELETONS[self.settings.skeleton]

    @property
    def domain(self) -> str:
        return self.settings.domain

    @property
    def store_path(self) -> pathlib.Path:
        return pathlib.Path(self.settings.store)


def held_run(
    directory: str | pathlib.Path, wait: Callable[[str], None] | None = None
) -> contextlib.AbstractContextManager:
    """Keeps a run's folder to this process (`files.locked`); a second one waits or says so."""
    return locked(pathlib.Path(directory) / "training", wait)


def settings_path(directory: str | pathlib.Path) -> pathlib.Path:
    return pathlib.Path(directory) / "settings.json"


def weights_path(directory: str | pathlib.Path, stage: str) -> pathlib.Path:
    return pathlib.Path(directory) / "weights" / f"{stage}.h5"


def verdict_path(directory: str | pathlib.Path) -> pathlib.Path:
    return pathlib.Path(directory) / "verdict.json"


def write_settings(directory: str | pathlib.Path, settings: RunSettings) -> None:
    """Writes `settings.json`."""
    write_json(settings_path(directory), settings.to_dict())


def read_settings(directory: str | pathlib.Path) -> RunSettings:
    """Reads `settings.json`; InputError where it is missing, damaged or of another version."""
    path = settings_path(directory)
    if not path.is_file():
        raise InputError(f"{directory}: this is no run folder (it has no settings.json); give one that a run made")
    try:
        values = parse_json(read_text(path))
        if values["format"] != FORMAT or values["version"] not in (1, VERSION):
            raise InputError(
                f"{path}: made by version {values['version']} of {values['format']}, this program reads versions 1 to "
                f"{VERSION} of {FORMAT}; train again"
            )
        return RunSettings.from_dict(from_version_1(values) if values["version"] == 1 else values)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: the settings are damaged ({error}); train again in a new folder") from error


def run_files(directory: str | pathlib.Path) -> tuple[str, str]:
    """What a run predicts with, from its folder on: its settings, and the weights of its last stage."""
    settings = read_settings(directory)
    paths = settings_path(directory), weights_path(directory, settings.last_stage)
    return tuple(path.relative_to(directory).as_posix() for path in paths)


def load_run(directory: str | pathlib.Path, stage: str | None = None) -> Run:
    """Loads a finished run, with the weights of its last stage or of another.

    Raises:
        InputError: where the folder is no run, the run is not finished, or its weights do not fit its settings.
    """
    directory = pathlib.Path(directory)
    settings = read_settings(directory)
    path = weights_path(directory, stage or settings.last_stage)
    if not path.is_file():
        raise InputError(
            f"{directory}: the run is not finished; go on with: python training/run.py --run-dir {directory} --resume"
        )
    from lsps_tf.networks import build_networks

    networks = build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    load_weights(networks, path)
    return Run(directory, settings, networks)


def save_weights(networks: Networks, path: str | pathlib.Path) -> None:
    """Writes every network's weights as plain arrays by name, shared ones once; InputError where the disk is full."""
    import h5py

    # In memory first: on a full disk HDF5 raises what is no OSError, or brings the process down.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, variable in networks.named_variables().items():
            file.create_dataset(name, data=variable.numpy())
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_weights(
    networks: Networks, path: str | pathlib.Path, prefix: str = "", without: str | tuple[str, ...] = ()
) -> None:
    """Reads what `save_weights` wrote: with `prefix` only what has a name that starts so ("pose_").

    What has a name that starts with `without` ("mapping/"), or with one of several, is left as it is.

    Raises:
        InputError: where the file is missing, damaged, or of networks of other sizes; no weight is changed then.
    """
    import h5py

    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there are no such weights; check the run folder")
    variables = {
        name: variable
        for name, variable in networks.named_variables().items()
        if name.startswith(prefix) and not name.startswith(without)
    }
    try:
        with h5py.File(path, "r") as file:
            values = {name: file[name][...] for name in variables}
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: the weights are damaged or of other networks ({error}); train again") from error
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise InputError(
                f"{path}: '{name}' has shape {values[name].shape} but these settings need {tuple(variable.shape)}; "
                "the weights belong to a run with another preset or skeleton"
            )
    for name, variable in variables.items():
        variable.assign(values[name])
