"""The end of a run on one's own recording: whether adaptation helped, and the better of the two models as its result.

No label is needed (see `evaluation.adaptation`). The frames are the recording's "real/held-out", which no stage draws.
"""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

import numpy as np

from lsps_tf.augment import IMAGE_COLUMNS
from lsps_tf.config import FIT
from lsps_tf.datasets.own.recording import HELD_OUT
from lsps_tf.datasets.store import Store, open_store
from lsps_tf.files import atomic_path, parse_json, read_text, write_json
from lsps_tf.fitting.to_depth import DepthFitter
from lsps_tf.networks import build_networks
from lsps_tf.run_folder import RunSettings, load_weights, read_settings, save_weights, verdict_path, weights_path
from lsps_tf.skeleton import NYU, SKELETONS, joints_of
from training.evaluation.adaptation import Verdict, compare
from training.methods import LSPS
from training.pseudo_labels import BATCH, build_look

_BEFORE_ROUNDS = LSPS.stages[-1]
# The model that adaptation starts from may have an M of another kind. No prediction reads it.
_UNREAD = "mapping/"


def judge_run(settings: RunSettings, run_dir: pathlib.Path) -> str | None:
    """Compares a finished run with the model that its adaptation started from, and keeps the better one.

    Writes `verdict.json`. Where adaptation did not help, the weights of the last stage become those from before, and
    its own go beside them. A run that has its verdict already is left as it is.

    Returns:
        The verdict in words; None where there is nothing to compare: another dataset, no model before, or too few
        frames to keep some out.

    Raises:
        InputError: where the store or the weights from before are missing or damaged.
    """
    before = _weights_before(settings, run_dir)
    if settings.dataset != "frames" or before is None or not settings.frames.get(HELD_OUT):
        return None
    path = verdict_path(run_dir)
    if path.is_file():
        return _in_words(parse_json(read_text(path)))
    last, own = weights_path(run_dir, settings.last_stage), _adapted_path(settings, run_dir)
    # These are there where a stop came between the weights and the verdict.
    verdict = _compare(settings, before, own if own.is_file() else last)
    if not verdict.helped:
        if not own.is_file():
            with atomic_path(own) as partial:
                shutil.copyfile(last, partial)
        _write_before(settings, before, last)
    said = {**verdict.to_dict(), "before_is": str(before), "kept": "after" if verdict.helped else "before"}
    said["adapted"] = str(last if verdict.helped else own)
    write_json(path, said)
    return _in_words(said)


def _weights_before(settings: RunSettings, run_dir: pathlib.Path) -> pathlib.Path | None:
    """The weights that adaptation started from: another run's, or this one's before its rounds of fitting."""
    stage = settings.pretrained_stage
    if stage in (_BEFORE_ROUNDS, "regression") or stage.startswith(FIT):
        same = read_settings(settings.pretrained).domain == settings.domain
        return weights_path(settings.pretrained, stage) if same else None
    has_rounds = any(each.startswith(FIT) for each in settings.stages)
    return weights_path(run_dir, _BEFORE_ROUNDS) if has_rounds and _BEFORE_ROUNDS in settings.stages else None


def _adapted_path(settings: RunSettings, run_dir: pathlib.Path) -> pathlib.Path:
    return weights_path(run_dir, f"{settings.last_stage}-adapted")


def _compare(settings: RunSettings, before: pathlib.Path, after: pathlib.Path) -> Verdict:
    networks = build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    look = build_look(networks, settings)
    predicted_mm, order = [], None
    with open_store(settings.store) as store:
        for path in (before, after):
            load_weights(networks, path, without=_UNREAD)
            images, center_mm, cube_mm, joints_mm, order = _predict(settings, store, look)
            predicted_mm.append(joints_mm)
    fitter = DepthFitter(BATCH, joints_of(NYU, SKELETONS[settings.skeleton]))
    return compare(fitter, BATCH, images, center_mm, cube_mm, tuple(predicted_mm), order)


def _predict(settings: RunSettings, store: Store, look) -> tuple[np.ndarray, ...]:
    """The held-out frames' images, centres and cubes, what is predicted of them, and their order [N, 2]."""
    parts, rows = [], np.arange(settings.frames[HELD_OUT])
    for part in np.split(rows, range(BATCH, len(rows), BATCH)):
        read = store.read(HELD_OUT, part)
        images, joints_mm, _ = (value.numpy() for value in look(*(read[name] for name in IMAGE_COLUMNS)))
        order = np.stack([read["subject"], read["frame"]], axis=1)
        parts.append((images, read["center_mm"], read["cube_mm"], joints_mm, order))
    return tuple(np.concatenate(part) for part in zip(*parts))


def _write_before(settings: RunSettings, before: pathlib.Path, last: pathlib.Path) -> None:
    """Puts the weights from before into the file of the last stage; M, which may be of another kind, stays."""
    networks = build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    load_weights(networks, last)
    load_weights(networks, before, without=_UNREAD)
    save_weights(networks, last)


def _in_words(said: dict[str, Any]) -> str:
    names = {
        "unexplained_mm": "depth that the predicted hand leaves unexplained",
        "from_fit_mm": "joints from the hand that explains it best",
        "unsteady_mm": "joints from their way between the frames around",
    }
    lines = [f"Adaptation, told without labels from {said['frames']} frames kept out of training:"]
    for name, words in names.items():
        before, after = (said[model][name] for model in ("before", "after"))
        if before is not None:
            lines.append(f"  {words}: {before:.1f} mm before, {after:.1f} mm after")
    if said["kept"] == "after":
        return "\n".join([*lines, "  It helped."])
    kept = f"  It did not help. The run's result is the model from before; the adapted one is {said['adapted']}"
    return "\n".join([*lines, kept])
