"""The methods of `training/run.py`, a row each: their stages, the frames they train on, and how a stage is built.

A new method is a row here, and a stage under `training/stages` with a function in `plan` where it has one of its own.
Nothing else asks for a method by its name. The module loads no TensorFlow at its top, so that the command line can.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from lsps_tf.config import FIT, Config
from lsps_tf.errors import InputError

if TYPE_CHECKING:
    from lsps_tf.datasets.store import Store
    from lsps_tf.fitting.to_depth import DepthFit
    from lsps_tf.networks import Networks
    from lsps_tf.run_folder import RunSettings
    from training.plan import StageInputs, StagePlan


@dataclasses.dataclass(frozen=True)
class Method:
    """One choice of `--method`.

    Attributes:
        name: what the command line calls it.
        title: what the model card calls it.
        stages: in order; the rounds of training by fitting come after them.
        splits: the splits of the store that it trains on, by the settings and the stages of a run.
        build: a stage's plan, by its name without the number of a round.
        domain: the domain whose trunk predicts real frames.
        needs_labels: it trains on real labels alone, so on all of them where `--labels` is not given.
        takes_labels: it can train on real labels.
        has_rounds: whether rounds of training by fitting (`fit_rounds`) follow its stages.
        one_domain: its depth stage, if any, knows one domain alone.
        aside: stages that no later one starts from.
        adapts: it starts from a whole trained model, the shipped one where none is named, with that one's preset; and
            it trains on simulated scenes beside a recording, in place of the clean hand.
    """

    name: str
    title: str
    stages: tuple[str, ...]
    splits: Callable[[Config, tuple[str, ...]], tuple[str, ...]]
    build: Callable[[str, StageInputs], StagePlan]
    domain: str = "real"
    needs_labels: bool = False
    takes_labels: bool = True
    has_rounds: bool = False
    one_domain: bool = False
    aside: tuple[str, ...] = ()
    adapts: bool = False

    def stages_with(self, config: Config) -> tuple[str, ...]:
        """All its stages with these settings, in order; the last one's weights are its result."""
        depth = config.training.depth_steps > 0
        has = {"pose": config.network.pose_vae, "depth": depth, "mapping": depth and config.training.mapping_steps > 0}
        stages = tuple(stage for stage in self.stages if has.get(stage, True))
        # A method that has rounds alone has one at least.
        rounds = max(config.training.fit_rounds, 0 if self.stages else 1) if self.has_rounds else 0
        return stages + tuple(f"{FIT}{number + 1}" for number in range(rounds))


def _build_lsps(kind: str, inputs: StageInputs) -> StagePlan:
    from training import plan

    return {
        "pose": plan.build_pose,
        "depth": plan.build_depth,
        "mapping": plan.build_mapping,
        "posterior": plan.build_posterior,
        FIT: plan.build_round,
    }[kind](inputs)


def _build_synthetic_only(kind: str, inputs: StageInputs) -> StagePlan:
    from training import plan

    return {"pose": plan.build_pose, "regression": plan.build_synthetic_regression}[kind](inputs)


def _build_real(kind: str, inputs: StageInputs) -> StagePlan:
    from training import plan

    return {"pose": plan.build_pose, "regression": plan.build_real_regression}[kind](inputs)


def _build_adaptation(kind: str, inputs: StageInputs) -> StagePlan:
    from training import plan

    return {FIT: plan.build_adaptation}[kind](inputs)


def _build_crossing_nets(kind: str, inputs: StageInputs) -> StagePlan:
    from training import plan

    return {
        "pose": plan.build_labelled_pose,
        "depth": plan.build_crossing_depth,
        "posterior": plan.build_crossing_posterior,
    }[kind](inputs)


def _splits_of_synthetic_only(config: Config, stages: tuple[str, ...]) -> tuple[str, ...]:
    return "synthetic/train", f"synthetic/{config.baselines.synthetic_part}"


def _splits_of_real(config: Config, stages: tuple[str, ...]) -> tuple[str, ...]:
    # The pose stage is the one that all methods share: on synthetic poses.
    return (*(("synthetic/train",) if "pose" in stages else ()), "real/train")


_ROWS = (
    Method(
        name="lsps",
        title="LSPS (latent space of simulated depth, sensor depth and pose)",
        stages=("pose", "depth", "mapping", "posterior"),
        splits=lambda config, stages: ("synthetic/train", "real/train"),
        build=_build_lsps,
        has_rounds=True,
        # It moves M, which P does not read.
        aside=("mapping",),
    ),
    Method(
        name="synthetic-only",
        title="regression on simulated frames alone",
        stages=("pose", "regression"),
        splits=_splits_of_synthetic_only,
        build=_build_synthetic_only,
        # It never sees the real one.
        domain="synthetic",
        takes_labels=False,
    ),
    Method(
        name="real",
        title="regression on labelled sensor frames",
        stages=("pose", "regression"),
        splits=_splits_of_real,
        build=_build_real,
        needs_labels=True,
    ),
    Method(
        name="crossing-nets",
        title="crossing nets on sensor frames, without simulation",
        stages=("pose", "depth", "posterior"),
        splits=lambda config, stages: ("real/train",),
        build=_build_crossing_nets,
        one_domain=True,
        needs_labels=True,
    ),
    Method(
        name="adapt",
        title="a trained model, adapted to a recording by fitting",
        stages=(),
        splits=lambda config, stages: ("synthetic/sensed", "real/train"),
        build=_build_adaptation,
        has_rounds=True,
        adapts=True,
    ),
)
METHODS = {method.name: method for method in _ROWS}
LSPS = _ROWS[0]
# What `--method` is where it is not given.
DEFAULT = LSPS.name


def build_plan(
    stage: str, settings: RunSettings, networks: Networks, store: Store, fits: DepthFit | None = None
) -> StagePlan:
    """A stage of a run, compiled, with its streams; `fits` are those of a round of training by fitting."""
    from training.plan import StageInputs, labelled_frames

    inputs = StageInputs(stage, settings, networks, store, labelled_frames(settings, store), fits)
    return METHODS[settings.method].build(stage.rstrip("0123456789"), inputs)


def resolve_stages(method: str, config: Config, asked: str | None, pretrained_stage: str) -> tuple[str, ...]:
    """The stages to train: those asked for, or those of the method that the pre-trained weights do not cover."""
    known = METHODS[method].stages_with(config)
    # An adaptation starts from a whole model and has rounds of its own.
    covered = set() if METHODS[method].adapts else _covered(known, pretrained_stage)
    if asked is None:
        return tuple(stage for stage in known if stage not in covered)
    stages = tuple(part.strip() for part in asked.split(",") if part.strip())
    for stage in stages:
        if stage not in known:
            raise InputError(f"--stages {asked}: --method {method} has the stages {', '.join(known)}, not '{stage}'")
    if not stages:
        raise InputError(f"--stages: name at least one of {', '.join(known)}")
    stages = tuple(stage for stage in known if stage in stages)
    for stage in stages:
        before = _stage_before(METHODS[method], known, stage)
        if before is not None and before not in stages and before not in covered:
            raise InputError(
                f"--stages {asked}: the {stage} stage starts from the {before} stage; name that one too, or a run "
                "that has it with --pretrained"
            )
    return stages


def _stage_before(method: Method, known: tuple[str, ...], stage: str) -> str | None:
    """The stage whose weights `stage` starts from, None for the first one."""
    earlier = [name for name in known[: known.index(stage)] if name not in method.aside]
    return earlier[-1] if earlier else None


def _covered(known: tuple[str, ...], pretrained_stage: str) -> set[str]:
    """The stages that pre-trained weights have gone through: a stage comes with those before it."""
    rounds = [stage for stage in known if stage.startswith(FIT)]
    if pretrained_stage.startswith(FIT):
        # Its rounds may be more than this run has.
        return {*LSPS.stages, *rounds[: int(pretrained_stage[len(FIT) :])]}
    if pretrained_stage not in LSPS.stages and pretrained_stage in known:
        # A regression goes on from a regression, so that its own stage may be asked for again.
        return set(known[: known.index(pretrained_stage)])
    return set(LSPS.stages[: LSPS.stages.index(pretrained_stage) + 1]) if pretrained_stage in LSPS.stages else set()


def all_stages() -> tuple[str, ...]:
    """The stages that there are, rounds apart."""
    return tuple(dict.fromkeys(stage for method in METHODS.values() for stage in method.stages))
