"""The model card that travels inside a SavedModel: what it is, what it was trained on, how good it is, its limits."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from lsps_tf.confidence import Confidence
from lsps_tf.files import read_text
from lsps_tf.run_folder import Run, verdict_path

CARD_NAME = "MODEL_CARD.md"


def write_card(run: Run, path: pathlib.Path, confidence: Confidence | None, hands: int) -> None:
    """Writes the card of a run as Markdown; figures come from the run's `evaluation/test.json` where it is there."""
    path.write_text(card_text(run, confidence, hands), encoding="utf-8")


def card_text(run: Run, confidence: Confidence | None, hands: int) -> str:
    """The card of a run as Markdown."""
    settings, skeleton, data = run.settings, run.skeleton, run.config.data
    sensor = f", sensor model {settings.sensor}" if settings.sensor else ""
    labels = _labels(settings.labels)
    parts = [
        "# Model card",
        "3D joints of hands from one depth image.",
        "## Model",
        f"- Method: {settings.method_title or settings.method}, preset {run.config.preset}, "
        f"seed {run.config.training.seed}",
        f"- Skeleton: {skeleton.name}, {skeleton.num_joints} joints ({len(skeleton.evaluated)} of them evaluated)",
        f"- Input of the network: {data.image_size}x{data.image_size} pixels, a cube of {data.cube_mm:g} mm",
        "## Training data",
        f"- Data set: {pathlib.PurePath(settings.dataset).name}{sensor}; {labels}",
        f"- Stages: {', '.join(settings.stages)}",
        "## Figures",
        *_figures(_evaluation(run)),
        *_verdict(_read(verdict_path(run.directory))),
        "## Confidence",
        f"- {confidence.describe() if confidence is not None else 'Not calibrated: the model gives none.'}",
        "## Limits",
        f"- One hand per frame, the nearest; `serving_hands` and `from_depth_hands` give the {hands} nearest.",
        "- Whether it is a right or a left hand is told from what it looks like, and from which of the two predictions "
        "explains more of the depth. One frame does not always show it. The input `hand` says it; in a sequence the "
        "sum of `right_logit` does.",
        "- Depth of other sensors than the one it was trained for costs accuracy; train on frames of your own camera.",
        "- Hands that hold things, and two hands that touch, were not trained on.",
        "- Not for identifying people, and not where a wrong pose can do harm.",
    ]
    return "\n".join(_spaced(parts)) + "\n"


def _labels(labels: float) -> str:
    if labels > 1:
        return f"real labels of {labels:g} frames"
    return f"{100 * labels:g} % of the real labels" if labels else "no real labels"


def _evaluation(run: Run) -> dict[str, Any] | None:
    return _read(run.directory / "evaluation" / "test.json")


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError):
        return None


def _figures(evaluation: dict[str, Any] | None) -> list[str]:
    if evaluation is None:
        return ["- Not evaluated yet: python training/evaluate.py --run-dir DIR, and export again."]
    return [
        f"- Mean joint error: {evaluation['mean_error_mm']:.2f} mm, on {evaluation['frames']} frames of test subjects",
        f"- Frames with all joints within 40 mm: {evaluation['within_40_mm_percent']:.2f} %",
    ]


def _verdict(verdict: dict[str, Any] | None) -> list[str]:
    """What a run on one's own recording says of its adaptation; nothing of other runs."""
    if verdict is None:
        return []
    before, after = (verdict[model] for model in ("before", "after"))
    kept = "it helped" if verdict["kept"] == "after" else "it did not help, and this is the model from before"
    return [
        f"- Adaptation, told without labels from {verdict['frames']} frames kept out of training: {kept}. Depth that "
        f"the predicted hand leaves unexplained: {before['unexplained_mm']:.1f} mm before, "
        f"{after['unexplained_mm']:.1f} mm after",
    ]


def _spaced(parts: list[str]) -> list[str]:
    """An empty line before and after each heading."""
    lines: list[str] = []
    for part in parts:
        if lines and (part.startswith("#") or lines[-1].startswith("#")):
            lines.append("")
        lines.append(part)
    return lines
