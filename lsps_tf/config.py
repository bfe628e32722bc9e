"""Settings: frozen dataclasses with one unique name per setting. `presets` has their values, from `tiny` to `paper`."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any


def _setting(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What a training image is (section 5)."""

    image_size: int = _setting(64, "pixels of a crop's side")
    cube_mm: float = _setting(250.0, "side of the crop's cube in mm")
    rotation_degrees: float = _setting(180.0, "in-plane rotation is uniform within plus and minus this")
    translation_mm: float = _setting(10.0, "standard deviation of the translation in mm")
    appearance: float = _setting(0.0, "how much labelled sensor frames change their looks in each step (appearance.py)")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks (tables 2 to 4)."""

    num_joints: int = _setting(36, "joints of the skeleton")
    pose_hidden: int = _setting(30, "hidden units of the pose encoder and decoder (table 2)")
    pose_latent: int = _setting(20, "size of the pose latent (table 2)")
    encoder_widths: tuple[int, ...] = _setting((16, 32, 64), "channels of the encoder's convolutions (table 4)")
    generator_widths: tuple[int, ...] = _setting((32, 16), "channels of the generator's two upscalings (table 4)")
    residual_width: int = _setting(64, "inner channels of a residual block, its N (table 4)")
    residual_groups: int = _setting(4, "paths of a residual block, its C (table 4)")
    private_blocks: int = _setting(1, "unshared residual blocks of each encoder and generator (table 4)")
    shared_blocks: int = _setting(1, "residual blocks shared by both encoders, and by both generators (table 4)")
    mapping: str = _setting(
        "code",
        "what M starts from: code, the pose latent (table 3), or bones, a drawing of its joints (not in the paper)",
    )
    mapping_widths: tuple[int, ...] = _setting((128, 96), "channels of M's layers but the last (table 3)")
    mapping_blocks: int = _setting(2, "residual blocks at the end of M with mapping=bones")
    discriminator_widths: tuple[int, ...] = _setting(
        (16, 32, 64, 128, 256), "channels of the discriminator's convolutions (table 4)"
    )
    weight_sharing: bool = _setting(
        True, "the domains' encoders share layers, and so do their generators; without it: an ablation"
    )
    pose_vae: bool = _setting(
        True, "P regresses the pose latent; without it, an ablation, the joints are their own latent"
    )
    discriminator_repeats: int = _setting(
        0, "convolutions of stride 1 after each of the discriminator's but the first (not in the paper)"
    )
    discriminator_private: int = _setting(2, "first convolutions that D_s and D_r do not share (table 4)")
    vote_widths: tuple[int, ...] = _setting(
        (),
        "channels on P's way back to a larger map, whose places vote for the joints (not in the paper; empty: table 4)",
    )
    turns: int = _setting(1, "turns of an image, 1 or 3, whose predictions' median is the result (not in the paper)")

    @property
    def latent_size(self) -> int:
        """Z, numbers of what P regresses: of the pose latent, or of the joints where there is no pose VAE."""
        return self.pose_latent if self.pose_vae else 3 * self.num_joints

    @property
    def in_a_row(self) -> bool:
        """Whether each layer of P_r reads the one before alone: no votes and no turns, which E_y follows."""
        return not self.vote_widths and self.turns == 1


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """The paper's lambdas (section 5); lambda_8 has a value per stage."""

    lambda_0: float = _setting(0.1, "KL of the pose VAE (equation 1)")
    lambda_1: float = _setting(100.0, "likelihood of the pose VAE (equation 1)")
    lambda_2: float = _setting(0.1, "KL of the depth VAEs and cycles (equations 3 and 5)")
    lambda_3: float = _setting(100.0, "likelihood of the depth VAEs and cycles (equations 3 and 5)")
    lambda_4: float = _setting(10.0, "adversarial terms of the translations (equation 4)")
    lambda_keep: float = _setting(
        0.0, "distance that translations move what they and the image both see (not in the paper; 0 leaves it out)"
    )
    lambda_4_mapping: float = _setting(10.0, "adversarial terms of M's renderings (equation 6; lambda_4 in the paper)")
    lambda_5: float = _setting(100.0, "distance of M(z_y) to z_s (equation 6)")
    lambda_6: float = _setting(10000.0, "likelihood of the rendering of M(z_y) (equation 6)")
    mapping_in_depth: float = _setting(
        1.0,
        "part of equation 6's weights that the depth stage gives it (1 in the paper); the mapping stage has it whole",
    )
    lambda_6_translated: float = _setting(
        0.0, "likelihood of translations by M's real renderings in the mapping stage (not in the paper; 0: without)"
    )
    lambda_7: float = _setting(10.0, "posterior regression (equation 7)")
    lambda_7_made: float = _setting(
        0.0, "regression of equation 7 on what G_s and G_r make of synthetic images (not in the paper; 0 leaves it out)"
    )
    lambda_7_randomized: float = _setting(
        0.0, "regression of equation 7 on randomised synthetic images read as real ones (not in the paper; 0: without)"
    )
    lambda_7_joints: float = _setting(
        0.0, "distance of the decoded joints in the regressions, half cubes (not in the paper; 0 leaves it out)"
    )
    lambda_7_votes: float = _setting(
        0.0, "distance of the votes for a joint in the regressions, half cubes (vote_widths; 0 leaves it out)"
    )
    lambda_8_depth: float = _setting(0.0001, "feature matching in the depth stage (equation 8)")
    lambda_8_posterior: float = _setting(1.0, "feature matching in the posterior stage (equation 8)")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Schedule (section 4)."""

    seed: int = _setting(0, "seed of initial weights, order of the data, augmentation and noise")
    posterior_learning_rate: float = _setting(1e-4, "Adam's step size of the posterior stage and of the regressions")
    depth_learning_rate: float = _setting(1e-4, "Adam's step size of the depth stage's E, G and M")
    discriminator_learning_rate: float = _setting(1e-4, "Adam's step size of the depth stage's D and P")
    adam_beta_1: float = _setting(0.5, "Adam's beta_1")
    clip_norm: float = _setting(
        0.0, "largest norm of a gradient in the posterior stage, the regressions and the rounds (0: any)"
    )
    decay: str = _setting("none", "course of the step sizes within a stage: none, cosine (to zero) or halving")
    halve_every: int = _setting(100_000, "steps after which decay=halving halves the step sizes")
    pose_learning_rate: float = _setting(1e-4, "Adam's step size of the pose stage")
    pose_steps: int = _setting(200_000, "iterations of the pose stage")
    pose_batch: int = _setting(128, "poses per step of the pose stage")
    depth_steps: int = _setting(
        500_000, "iterations of the depth stage (0 leaves it out, and what the posterior stage takes from it)"
    )
    depth_batch: int = _setting(1, "images of each domain per step of the depth stage")
    depth_average: float = _setting(
        0.0, "decay per step of the average of E, G and M that the depth stage ends with (0: their last weights)"
    )
    depth_shift_mm: float = _setting(
        0.0, "standard deviation of a shift that each image of the depth stage gets, mm (0: the augmentation's alone)"
    )
    cycle: bool = _setting(True, "the depth stage has equation 5, cycle-consistency; without it: an ablation")
    mapping_learning_rate: float = _setting(1e-4, "Adam's step size of the mapping stage's M")
    mapping_steps: int = _setting(
        0, "iterations of the mapping stage, which trains M alone (not in the paper; 0 leaves it out)"
    )
    mapping_batch: int = _setting(16, "images per step of the mapping stage")
    posterior_steps: int = _setting(50_000, "iterations of the posterior stage")
    posterior_average: float = _setting(
        0.0, "decay per step of the average of P that synthetic-only and real end with (0: their last weights)"
    )
    posterior_batch: int = _setting(32, "images per step of the posterior stage")
    matching_batch: int = _setting(32, "of these, images of each domain that feature matching uses")
    fit_rounds: int = _setting(
        0, "rounds of training by fitting after the posterior stage (not in the paper; 0 leaves them out)"
    )
    fit_frames: int = _setting(8000, "unlabelled frames, at most, that a round fits")
    fit_keep: float = _setting(0.85, "part of them that a round trains on: the best explained")
    fit_views: int = _setting(
        1, "views of a frame, turned and shifted, whose median prediction a round's fit starts from"
    )
    fit_agree: float = _setting(1.0, "part of the frames that a round may train on: those whose views agree best")
    fit_label_share: float = _setting(
        0.25, "part of a round's real frames, at least, that are drawn from those with labels of their own"
    )
    fit_learning_rate: float = _setting(1e-4, "Adam's step size of the rounds' training")
    fit_steps: int = _setting(50_000, "iterations of each round's training")
    fit_translations: bool = _setting(
        False, "the rounds also train on reconstructions and translations (equation 8, lambda_7_made)"
    )
    log_every: int = _setting(50, "steps between lines of metrics.jsonl")
    checkpoint_every: int = _setting(500, "steps between checkpoints")
    picture_every: int = _setting(500, "steps between picture grids of the depth stage")
    intra_op_threads: int = _setting(0, "TensorFlow's threads within an operation; 0 leaves it to TensorFlow")
    inter_op_threads: int = _setting(0, "TensorFlow's threads across operations; 0 leaves it to TensorFlow")


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """What only the methods that LSPS is compared with have (table 1)."""

    synthetic_part: str = _setting(
        "train", "frames of the synthetic-only regression: train (clean), or sensed (the simulator's, with its sensor)"
    )
    randomization: float = _setting(
        0.0, "strength of the domain randomisation of synthetic images in the synthetic-only regression (0 is none)"
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run. `preset` and `recipe` name what they started from."""

    preset: str = "compact"
    recipe: str = "preset"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    weights: LossWeights = LossWeights()
    training: TrainingConfig = TrainingConfig()
    baselines: BaselineConfig = BaselineConfig()

    def replace(self, **settings: Any) -> Config:
        """A copy with settings of any group changed by name; ValueError names the nearest known one."""
        changes: dict[str, dict[str, Any]] = {}
        for name, value in settings.items():
            changes.setdefault(group_of(name), {})[name] = value
        return dataclasses.replace(
            self, **{group: dataclasses.replace(getattr(self, group), **named) for group, named in changes.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as JSON takes them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Inverse of `to_dict`, which also takes settings by their older names; ValueError on an unknown setting."""
        groups = {group: values.get(group, {}) for group in GROUPS}
        flat = dict(current_setting(name, value) for named in groups.values() for name, value in named.items())
        named = {name: values.get(name, getattr(cls, name)) for name in ("preset", "recipe")}
        return dataclasses.replace(cls(), **named).replace(**flat)


GROUPS = {
    "data": DataConfig,
    "network": NetworkConfig,
    "weights": LossWeights,
    "training": TrainingConfig,
    "baselines": BaselineConfig,
}
# Settings by their older names, which settings.json and the command line still take.
RENAMED = {"learning_rate": "posterior_learning_rate"}
# What older settings.json have in place of true and false.
_BOOLEANS = {"yes": True, "no": False}
# A round of training by fitting is a stage of its own: fit1, fit2 and so on.
FIT = "fit"
# What `mapping` can be.
CODE, BONES = "code", "bones"
# Settings of a P of layers in a row, as table 4 has it.
IN_A_ROW = {"vote_widths": (), "turns": 1}


def current_setting(name: str, value: Any) -> tuple[str, Any]:
    """A stored setting by its current name and as its current type."""
    name = RENAMED.get(name, name)
    field = setting_fields().get(name)
    if field is not None and isinstance(field.default, bool):
        if not isinstance(value, bool) and value not in _BOOLEANS:
            raise ValueError(f"'{name}' is {value!r} and neither true nor false")
        return name, value if isinstance(value, bool) else _BOOLEANS[value]
    return name, tuple(value) if isinstance(value, list) else value


def setting_fields() -> dict[str, dataclasses.Field]:
    """Every setting's dataclass field by its name."""
    return {field.name: field for group in GROUPS.values() for field in dataclasses.fields(group)}


def group_of(name: str) -> str:
    """The group that holds the setting `name`; ValueError names the nearest known one."""
    for group, cls in GROUPS.items():
        if name in {field.name for field in dataclasses.fields(cls)}:
            return group
    nearest = difflib.get_close_matches(name, setting_fields(), n=1, cutoff=0.0)[0]
    raise ValueError(f"unknown setting '{name}'; the nearest one is '{nearest}'")
