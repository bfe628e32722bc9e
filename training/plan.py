"""Which stages a run has, what each trains on, and how its model is built."""

from __future__ import annotations

import dataclasses

from tensorflow import keras

from lsps_tf.config import Config, TrainingConfig
from lsps_tf.datasets.store import Store
from lsps_tf.errors import InputError
from lsps_tf.fitting.to_depth import DepthFit
from lsps_tf.networks import Networks
from lsps_tf.pipeline import Preparation, Stream, labelled_indices
from lsps_tf.run_folder import FIT, STAGES, RunSettings, stages_of
from lsps_tf.skeleton import SKELETONS
from training.pseudo_labels import SPLIT, kept_labels
from training.stages.base import Stage
from training.stages.crossing_nets import CrossingDepthStage, CrossingPosteriorStage
from training.stages.depth import DepthStage
from training.stages.pose import PoseStage
from training.stages.posterior import PosteriorStage
from training.stages.regression import RegressionStage


@dataclasses.dataclass(frozen=True)
class StagePlan:
    """One stage, ready for `fit`.

    Attributes:
        name: "pose", "depth", "posterior" or "regression".
        model: the compiled stage.
        streams: what the pipeline draws for it.
        steps: how many it takes in all.
        optimizers: the players' optimizers by name, for the checkpoint.
        shown: the term that the progress bar shows.
    """

    name: str
    model: Stage
    streams: dict[str, Stream]
    steps: int
    optimizers: dict[str, keras.optimizers.Optimizer]
    shown: str


def resolve_stages(method: str, config: Config, asked: str | None, pretrained_stage: str) -> tuple[str, ...]:
    """The stages to train: those asked for, or those of the method that the pre-trained weights do not cover."""
    known = stages_of(method, config)
    # A stage of a pre-trained run comes with those before it.
    order = (*STAGES["lsps"], *(stage for stage in known if stage.startswith(FIT)))
    covered = set(order[: order.index(pretrained_stage) + 1]) if pretrained_stage in order else set()
    if asked is None:
        return tuple(stage for stage in known if stage not in covered)
    stages = tuple(part.strip() for part in asked.split(",") if part.strip())
    for stage in stages:
        if stage not in known:
            raise InputError(f"--stages {asked}: --method {method} has the stages {', '.join(known)}, not '{stage}'")
    if not stages:
        raise InputError(f"--stages: name at least one of {', '.join(known)}")
    stages = tuple(stage for stage in known if stage in stages)
    for before, stage in zip(known, known[1:]):
        if stage in stages and before not in stages and before not in covered:
            raise InputError(
                f"--stages {asked}: the {stage} stage starts from the {before} stage; name that one too, or a run "
                "that has it with --pretrained"
            )
    return stages


def build_plan(
    name: str, settings: RunSettings, networks: Networks, store: Store, fits: DepthFit | None = None
) -> StagePlan:
    """The stage `name` of a run, compiled, with its streams; `fits` are those of a round of training by fitting."""
    training = settings.config.training
    labelled = labelled_frames(settings, store)
    prepare = Preparation(settings.config.data)
    weights = settings.config.weights
    if settings.method == "crossing-nets":
        plan = _crossing_nets(name, settings, networks, labelled, prepare)
    elif name == "pose":
        streams = {"synthetic": Stream("synthetic/train", training.pose_batch, images=False)}
        if labelled:
            streams["labelled"] = Stream("real/train", training.pose_batch, labelled, images=False)
        optimizers = {"optimizer": _adam(training, training.pose_learning_rate, training.pose_steps)}
        model = PoseStage(networks, weights, prepare)
        plan = StagePlan(name, model, streams, training.pose_steps, optimizers, "eq1_pose")
    elif name == "depth":
        streams = _images(training.depth_batch, labelled, training.depth_batch)
        optimizers = _depth_optimizers(training)
        model = DepthStage(networks, weights, prepare, cycle=training.cycle == "yes")
        plan = StagePlan(name, model, streams, training.depth_steps, optimizers, "eq2_generators")
    elif name == "posterior" or name.startswith(FIT):
        plan = _posterior(name, settings, networks, labelled, prepare)
        if fits is not None:
            frames, joints_mm = kept_labels(settings, store, fits, labelled)
            plan.streams["labelled"] = Stream(SPLIT, training.posterior_batch, frames, joints_mm=joints_mm)
    else:
        plan = _regression(settings, networks, labelled, prepare)
    plan.model.compile(**plan.optimizers)
    return dataclasses.replace(plan, streams=_of_the_run(plan.streams, settings.frames))


def _posterior(
    name: str, settings: RunSettings, networks: Networks, labelled: tuple[int, ...], prepare: Preparation
) -> StagePlan:
    """The posterior stage, or its training in a round of fitting, which has equation 7 alone unless asked for more."""
    training, weights = settings.config.training, settings.config.weights
    rate, steps = training.learning_rate, training.posterior_steps
    streams = _images(training.posterior_batch, labelled, training.matching_batch)
    if name.startswith(FIT):
        rate, steps = training.fit_learning_rate, training.fit_steps
        if training.fit_translations == "no":
            weights = dataclasses.replace(weights, lambda_7_made=0.0, lambda_8_posterior=0.0)
            del streams["real"]
    if weights.lambda_7_randomized:
        prepare = Preparation(settings.config.data, SKELETONS[settings.skeleton], strength=1.0, beside=True)
    model = PosteriorStage(networks, weights, prepare)
    optimizers = {"optimizer": _adam(training, rate, steps, training.clip_norm)}
    return StagePlan(name, model, streams, steps, optimizers, "eq8_posterior")


def _regression(
    settings: RunSettings, networks: Networks, labelled: tuple[int, ...], prepare: Preparation
) -> StagePlan:
    training = settings.config.training
    if settings.method == "real":
        streams = {"labelled": Stream("real/train", training.posterior_batch, labelled)}
    else:
        part = settings.config.data.synthetic_part
        streams = {"synthetic": Stream(f"synthetic/{part}", training.posterior_batch)}
        prepare = Preparation(settings.config.data, SKELETONS[settings.skeleton], settings.config.data.randomization)
    optimizers = {"optimizer": _adam(training, training.learning_rate, training.posterior_steps, training.clip_norm)}
    model = RegressionStage(networks, settings.config.weights, settings.domain, prepare)
    return StagePlan("regression", model, streams, training.posterior_steps, optimizers, "eq7_posterior")


def _crossing_nets(
    name: str, settings: RunSettings, networks: Networks, labelled: tuple[int, ...], prepare: Preparation
) -> StagePlan:
    """A stage of the baseline without simulation: as LSPS has it, on real frames alone."""
    training, weights = settings.config.training, settings.config.weights
    if name == "pose":
        streams = {"labelled": Stream("real/train", training.pose_batch, labelled, images=False)}
        optimizers = {"optimizer": _adam(training, training.pose_learning_rate, training.pose_steps)}
        return StagePlan(
            name, PoseStage(networks, weights, prepare), streams, training.pose_steps, optimizers, "eq1_pose"
        )
    if name == "depth":
        streams = {
            "real": Stream("real/train", training.depth_batch),
            "labelled": Stream("real/train", training.depth_batch, labelled),
        }
        model = CrossingDepthStage(networks, weights, prepare)
        return StagePlan(name, model, streams, training.depth_steps, _depth_optimizers(training), "eq2_generators")
    streams = {"labelled": Stream("real/train", training.posterior_batch, labelled)}
    optimizers = {"optimizer": _adam(training, training.learning_rate, training.posterior_steps, training.clip_norm)}
    model = CrossingPosteriorStage(networks, weights, training.matching_batch, prepare)
    return StagePlan(name, model, streams, training.posterior_steps, optimizers, "eq8_posterior")


def _depth_optimizers(training: TrainingConfig) -> dict[str, keras.optimizers.Optimizer]:
    return {
        "generator_optimizer": _adam(training, training.depth_learning_rate, training.depth_steps),
        "discriminator_optimizer": _adam(training, training.discriminator_learning_rate, training.depth_steps),
    }


def _images(synthetic_batch: int, labelled: tuple[int, ...], real_batch: int) -> dict[str, Stream]:
    streams = {"synthetic": Stream("synthetic/train", synthetic_batch), "real": Stream("real/train", real_batch)}
    if labelled:
        streams["labelled"] = Stream("real/train", synthetic_batch, labelled)
    return streams


def _of_the_run(streams: dict[str, Stream], frames: dict[str, int]) -> dict[str, Stream]:
    """The streams over the frames that the run started with; its store may have grown since."""
    whole = {name for name, stream in streams.items() if stream.indices is None and stream.split in frames}
    own = {name: dataclasses.replace(streams[name], indices=range(frames[streams[name].split])) for name in whole}
    return {**streams, **own}


def labelled_frames(settings: RunSettings, store: Store) -> tuple[int, ...]:
    """The frames of "real/train" whose labels the run uses; InputError where it wants some and there are none."""
    if settings.labels == 0:
        return ()
    count = settings.frames.get("real/train")
    return labelled_indices(store, "real/train", settings.labels, settings.config.training.seed, count)


def _adam(
    training: TrainingConfig, learning_rate: float, steps: int, clip_norm: float = 0.0
) -> keras.optimizers.Optimizer:
    schedules = {
        "none": lambda: learning_rate,
        "cosine": lambda: keras.optimizers.schedules.CosineDecay(learning_rate, steps),
        "halving": lambda: keras.optimizers.schedules.ExponentialDecay(
            learning_rate, training.halve_every, 0.5, staircase=True
        ),
    }
    clipping = {"global_clipnorm": clip_norm} if clip_norm else {}
    return keras.optimizers.legacy.Adam(schedules[training.decay](), beta_1=training.adam_beta_1, **clipping)
