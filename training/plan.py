"""How each stage is built: what it draws from the store, its model, its optimizers and its steps.

`methods` says which of these functions a method's stages have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from tensorflow import keras

from lsps_tf.config import LossWeights, TrainingConfig
from lsps_tf.datasets.feeds import Stream
from lsps_tf.datasets.store import Store
from lsps_tf.fitting.to_depth import DepthFit
from lsps_tf.networks import Networks
from lsps_tf.pipeline import SIMULATED, Preparation, labelled_indices
from lsps_tf.run_folder import RunSettings
from lsps_tf.skeleton import SKELETONS
from training.pseudo_labels import SPLIT, kept_labels
from training.stages.base import Stage
from training.stages.crossing_nets import CrossingDepthStage, CrossingPosteriorStage
from training.stages.depth import DepthStage
from training.stages.mapping import TOTAL as MAPPING_TOTAL
from training.stages.mapping import MappingStage
from training.stages.pose import PoseStage
from training.stages.posterior import PosteriorStage
from training.stages.regression import RegressionStage

# What an adaptation trains on beside the recording: simulated scenes, as sensors see them.
SIMULATED_SPLIT = "synthetic/sensed"
Optimizers = dict[str, keras.optimizers.Optimizer]


@dataclasses.dataclass(frozen=True)
class StagePlan:
    """One stage, ready for `fit`.

    Attributes:
        name: of the stage, such as "pose" or "fit1".
        model: the compiled stage.
        streams: what the pipeline draws for it.
        steps: how many it takes in all.
        optimizers: the players' optimizers by name, for the checkpoint.
        shown: the term that the progress bar shows.
        has_pictures: whether it makes images of both domains, which `callbacks.Pictures` shows.
    """

    name: str
    model: Stage
    streams: dict[str, Stream]
    steps: int
    optimizers: Optimizers
    shown: str
    has_pictures: bool = False


@dataclasses.dataclass(frozen=True)
class StageInputs:
    """What a stage is built from.

    Attributes:
        name: of the stage.
        settings: of the run.
        networks: that it trains.
        store: of the run.
        labelled: the frames of "real/train" whose labels the run uses.
        fits: of a round of training by fitting, None otherwise.
    """

    name: str
    settings: RunSettings
    networks: Networks
    store: Store
    labelled: tuple[int, ...]
    fits: DepthFit | None = None

    @property
    def training(self) -> TrainingConfig:
        return self.settings.config.training

    @property
    def weights(self) -> LossWeights:
        return self.settings.config.weights

    @property
    def prepare(self) -> Preparation:
        return Preparation(self.settings.config.data)

    def randomized(self, strength: float, beside: bool = False) -> Preparation:
        """A preparation that randomises synthetic images, in their place or `beside` them."""
        return Preparation(self.settings.config.data, SKELETONS[self.settings.skeleton], strength, beside)

    def stream(self, split: str, batch: int, images: bool = True) -> Stream:
        """All frames of a split that the run started with; its store may have grown since."""
        count = self.settings.frames.get(split)
        return Stream(split, batch, None if count is None else range(count), images)

    def labelled_stream(
        self,
        batch: int,
        images: bool = True,
        frames: Sequence[int] | None = None,
        joints_mm: np.ndarray | None = None,
    ) -> Stream:
        """The labelled frames, or other ones of the same split with other joints [N, J, 3]."""
        return Stream(SPLIT, batch, self.labelled if frames is None else frames, images, joints_mm)

    def adam(self, learning_rate: float, steps: int, clip_norm: float = 0.0) -> keras.optimizers.Optimizer:
        """Adam with the run's course of the step size over so many steps."""
        training = self.training
        schedules = {
            "none": lambda: learning_rate,
            "cosine": lambda: keras.optimizers.schedules.CosineDecay(learning_rate, steps),
            "halving": lambda: keras.optimizers.schedules.ExponentialDecay(
                learning_rate, training.halve_every, 0.5, staircase=True
            ),
        }
        clipping = {"global_clipnorm": clip_norm} if clip_norm else {}
        return keras.optimizers.legacy.Adam(schedules[training.decay](), beta_1=training.adam_beta_1, **clipping)

    def plan(
        self,
        model: Stage,
        streams: dict[str, Stream],
        steps: int,
        optimizers: Optimizers,
        shown: str,
        has_pictures: bool = False,
    ) -> StagePlan:
        """The plan of the stage, with its model compiled."""
        model.compile(**optimizers)
        return StagePlan(self.name, model, streams, steps, optimizers, shown, has_pictures)


def labelled_frames(settings: RunSettings, store: Store) -> tuple[int, ...]:
    """The frames of "real/train" whose labels the run uses; InputError where it wants some and there are none."""
    if settings.labels == 0:
        return ()
    count = settings.frames.get(SPLIT)
    return labelled_indices(store, SPLIT, settings.labels, settings.config.training.seed, count)


def build_pose(inputs: StageInputs) -> StagePlan:
    """The pose stage, on synthetic poses and on the labels of real frames where the run uses some."""
    batch = inputs.training.pose_batch
    streams = {"synthetic": inputs.stream("synthetic/train", batch, images=False)}
    if inputs.labelled:
        streams["labelled"] = inputs.labelled_stream(batch, images=False)
    return _pose(inputs, streams)


def build_labelled_pose(inputs: StageInputs) -> StagePlan:
    """The pose stage without simulation: on the labels of real frames alone."""
    return _pose(inputs, {"labelled": inputs.labelled_stream(inputs.training.pose_batch, images=False)})


def build_depth(inputs: StageInputs) -> StagePlan:
    """The depth stage of LSPS, on both domains."""
    training = inputs.training
    weights = _with_part_of_mapping(inputs.weights)
    prepare = Preparation(inputs.settings.config.data, shift_mm=training.depth_shift_mm)
    model = DepthStage(inputs.networks, weights, prepare, training.cycle, training.depth_average)
    streams = _both_domains(inputs, training.depth_batch, training.depth_batch)
    optimizers = _depth_optimizers(inputs)
    return inputs.plan(model, streams, training.depth_steps, optimizers, "eq2_generators", has_pictures=True)


def build_mapping(inputs: StageInputs) -> StagePlan:
    """The mapping stage of LSPS, on synthetic frames and on labelled real ones."""
    training = inputs.training
    streams = {"synthetic": inputs.stream("synthetic/train", training.mapping_batch)}
    if inputs.labelled:
        streams["labelled"] = inputs.labelled_stream(training.mapping_batch)
    model = MappingStage(inputs.networks, inputs.weights, inputs.prepare)
    optimizers = {
        "generator_optimizer": inputs.adam(training.mapping_learning_rate, training.mapping_steps),
        "discriminator_optimizer": inputs.adam(training.discriminator_learning_rate, training.mapping_steps),
    }
    return inputs.plan(model, streams, training.mapping_steps, optimizers, MAPPING_TOTAL)


def build_posterior(inputs: StageInputs) -> StagePlan:
    """The posterior stage of LSPS, on both domains; without a depth stage, what needs none of it."""
    training = inputs.training
    streams = _both_domains(inputs, training.posterior_batch, training.matching_batch)
    weights = inputs.weights if training.depth_steps else _without_latent_space(inputs.weights, streams)
    return _posterior(inputs, weights, streams, training.posterior_learning_rate, training.posterior_steps)


def build_round(inputs: StageInputs) -> StagePlan:
    """The posterior stage on fitted frames: equation 7 alone, unless `fit_translations` asks for more."""
    training, weights = inputs.training, inputs.weights
    streams = _both_domains(inputs, training.posterior_batch, training.matching_batch)
    if not training.fit_translations:
        weights = _without_latent_space(weights, streams)
    if inputs.fits is not None:
        frames, joints_mm = kept_labels(inputs.settings, inputs.store, inputs.fits, inputs.labelled)
        streams["labelled"] = inputs.labelled_stream(training.posterior_batch, frames=frames, joints_mm=joints_mm)
    return _posterior(inputs, weights, streams, training.fit_learning_rate, training.fit_steps)


def build_synthetic_regression(inputs: StageInputs) -> StagePlan:
    """The regression on synthetic frames, randomised where the settings say so."""
    baselines = inputs.settings.config.baselines
    stream = inputs.stream(f"synthetic/{baselines.synthetic_part}", inputs.training.posterior_batch)
    return _regression(inputs, {"synthetic": stream}, inputs.randomized(baselines.randomization))


def build_real_regression(inputs: StageInputs) -> StagePlan:
    """The regression on labelled real frames."""
    stream = inputs.labelled_stream(inputs.training.posterior_batch)
    return _regression(inputs, {"labelled": stream}, inputs.prepare)


def build_adaptation(inputs: StageInputs) -> StagePlan:
    """A round of an adaptation: the regression on fitted frames and as many simulated ones, through one trunk."""
    training = inputs.training
    batch = training.posterior_batch // 2
    streams = {SIMULATED: inputs.stream(SIMULATED_SPLIT, batch)}
    if inputs.fits is not None:
        frames, joints_mm = kept_labels(inputs.settings, inputs.store, inputs.fits, inputs.labelled)
        streams["labelled"] = inputs.labelled_stream(batch, frames=frames, joints_mm=joints_mm)
    model = RegressionStage(
        inputs.networks, inputs.weights, inputs.settings.domain, inputs.prepare, ("labelled", SIMULATED)
    )
    optimizers = _posterior_optimizer(inputs, training.fit_learning_rate, training.fit_steps)
    return inputs.plan(model, streams, training.fit_steps, optimizers, "eq7_posterior")


def build_crossing_depth(inputs: StageInputs) -> StagePlan:
    """The depth stage of crossing nets, on real frames alone. They have no mapping stage, so equation 6 is whole."""
    training = inputs.training
    streams = {
        "real": inputs.stream(SPLIT, training.depth_batch),
        "labelled": inputs.labelled_stream(training.depth_batch),
    }
    model = CrossingDepthStage(inputs.networks, inputs.weights, inputs.prepare)
    return inputs.plan(model, streams, training.depth_steps, _depth_optimizers(inputs), "eq2_generators")


def build_crossing_posterior(inputs: StageInputs) -> StagePlan:
    """The posterior stage of crossing nets, on labelled real frames and on images of mixed poses."""
    training = inputs.training
    streams = {"labelled": inputs.labelled_stream(training.posterior_batch)}
    model = CrossingPosteriorStage(inputs.networks, inputs.weights, training.matching_batch, inputs.prepare)
    optimizers = _posterior_optimizer(inputs, training.posterior_learning_rate, training.posterior_steps)
    return inputs.plan(model, streams, training.posterior_steps, optimizers, "eq8_posterior")


def _without_latent_space(weights: LossWeights, streams: dict[str, Stream]) -> LossWeights:
    """The weights of equation 7 alone, and no more unlabelled real frames among the streams."""
    del streams["real"]
    return dataclasses.replace(weights, lambda_7_made=0.0, lambda_8_posterior=0.0)


def _with_part_of_mapping(weights: LossWeights) -> LossWeights:
    """The weights of the depth stage, which gives equation 6 only a part of its own."""
    names = ("lambda_4_mapping", "lambda_5", "lambda_6")
    part = {name: weights.mapping_in_depth * getattr(weights, name) for name in names}
    return dataclasses.replace(weights, **part)


def _pose(inputs: StageInputs, streams: dict[str, Stream]) -> StagePlan:
    training = inputs.training
    model = PoseStage(inputs.networks, inputs.weights, inputs.prepare)
    optimizers = {"optimizer": inputs.adam(training.pose_learning_rate, training.pose_steps)}
    return inputs.plan(model, streams, training.pose_steps, optimizers, "eq1_pose")


def _posterior(
    inputs: StageInputs, weights: LossWeights, streams: dict[str, Stream], learning_rate: float, steps: int
) -> StagePlan:
    prepare = inputs.randomized(1.0, beside=True) if weights.lambda_7_randomized else inputs.prepare
    model = PosteriorStage(inputs.networks, weights, prepare)
    return inputs.plan(model, streams, steps, _posterior_optimizer(inputs, learning_rate, steps), "eq8_posterior")


def _regression(inputs: StageInputs, streams: dict[str, Stream], prepare: Preparation) -> StagePlan:
    training = inputs.training
    decay = training.posterior_average
    model = RegressionStage(inputs.networks, inputs.weights, inputs.settings.domain, prepare, average_decay=decay)
    optimizers = _posterior_optimizer(inputs, training.posterior_learning_rate, training.posterior_steps)
    return inputs.plan(model, streams, training.posterior_steps, optimizers, "eq7_posterior")


def _both_domains(inputs: StageInputs, synthetic_batch: int, real_batch: int) -> dict[str, Stream]:
    streams = {
        "synthetic": inputs.stream("synthetic/train", synthetic_batch),
        "real": inputs.stream(SPLIT, real_batch),
    }
    if inputs.labelled:
        streams["labelled"] = inputs.labelled_stream(synthetic_batch)
    return streams


def _posterior_optimizer(inputs: StageInputs, learning_rate: float, steps: int) -> Optimizers:
    return {"optimizer": inputs.adam(learning_rate, steps, inputs.training.clip_norm)}


def _depth_optimizers(inputs: StageInputs) -> Optimizers:
    training = inputs.training
    return {
        "generator_optimizer": inputs.adam(training.depth_learning_rate, training.depth_steps),
        "discriminator_optimizer": inputs.adam(training.discriminator_learning_rate, training.depth_steps),
    }
