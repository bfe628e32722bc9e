"""The presets, sizes and schedules by name, and what a recipe changes of them."""

from __future__ import annotations

import dataclasses

from lsps_tf.config import BONES, Config

_TINY = Config(preset="tiny").replace(
    image_size=32,
    encoder_widths=(4, 6, 8),
    generator_widths=(6, 4),
    residual_width=8,
    mapping=BONES,
    mapping_widths=(8,),
    mapping_blocks=1,
    discriminator_widths=(4, 6, 8, 8),
    posterior_learning_rate=1e-3,
    depth_learning_rate=1e-3,
    discriminator_learning_rate=1e-3,
    pose_learning_rate=1e-3,
    pose_steps=40,
    pose_batch=16,
    depth_steps=6,
    depth_batch=2,
    mapping_learning_rate=1e-3,
    mapping_steps=4,
    mapping_batch=2,
    posterior_steps=6,
    fit_frames=8,
    fit_learning_rate=1e-3,
    fit_steps=4,
    posterior_batch=4,
    matching_batch=2,
)

_COMPACT = Config(preset="compact").replace(
    pose_hidden=128,
    # The depth latent has a quarter of the paper's numbers per pixel, so the noise of its sample weighs more: with the
    # paper's KL the reconstructions lose the shape of the palm.
    lambda_2=0.01,
    # No equation 6 in the depth stage: it pulls E_s and G_s towards what M, in so few steps, can say of a pose, M's
    # renderings keep D_s from learning to tell translations from synthetic images, and it takes a third of the time.
    mapping_in_depth=0.0,
    # Next to nothing at the paper's weight, and it costs two more sets of images.
    lambda_8_depth=0.0,
    lambda_keep=100.0,
    # The domains' crops are not centred alike. Without shifts the discriminators see that, and hands move.
    depth_shift_mm=15.0,
    depth_average=0.999,
    lambda_5=10.0,
    # As lambda_6.
    lambda_6_translated=10000.0,
    mapping=BONES,
    mapping_widths=(96, 64),
    # From 55 to 67 % of the gap, and 22 % less error with `fitting` (docs/notebook.md).
    vote_widths=(128, 64),
    # A small discriminator is soon ruled by the regression; and a mean over features weighs little beside a sum.
    lambda_7=1.0,
    lambda_7_made=1.0,
    lambda_8_posterior=50.0,
    posterior_learning_rate=2e-3,
    # Gradients' norms are 7 to 100. Without a bound one in some ten thousand steps grew to 1e7 and undid the training.
    clip_norm=500.0,
    # Ten times the paper's rate, for a hundredth of its steps; a discriminator as fast as the generators wins at once.
    depth_learning_rate=2e-3,
    discriminator_learning_rate=5e-4,
    decay="cosine",
    pose_learning_rate=5e-3,
    pose_steps=5000,
    pose_batch=128,
    # As long as 6,000 steps with M were.
    depth_steps=10000,
    depth_batch=4,
    mapping_learning_rate=2e-3,
    mapping_steps=6000,
    posterior_steps=9000,
    # 3e-3 was thrown back once in a round, 1e-3 learnt a little less.
    fit_learning_rate=1.5e-3,
    # With 6,000, 0.8 mm more on the validation subjects.
    fit_steps=12000,
    posterior_batch=32,
    matching_batch=8,
    intra_op_threads=1,
    inter_op_threads=2,
)

# For real cameras and cluttered views: a larger image, and a deeper P that votes, of about 1.1 million numbers.
_DESK = dataclasses.replace(_COMPACT, preset="desk").replace(
    image_size=96,
    cube_mm=300.0,
    appearance=1.0,
    pose_hidden=256,
    pose_latent=32,
    discriminator_widths=(24, 48, 80, 128, 144),
    discriminator_repeats=1,
    vote_widths=(128, 96),
    turns=3,
    lambda_7=0.1,
    lambda_7_joints=10.0,
    lambda_7_votes=1.0,
    posterior_learning_rate=1.5e-3,
    pose_steps=6000,
    posterior_steps=12000,
    posterior_batch=64,
    # What a round learns from the frames that agree reaches others in the next.
    fit_rounds=3,
    # Frames whose views disagree are those that are far off: grips of the desk recordings, by 45 to 70 mm.
    fit_views=12,
    fit_agree=0.6,
    fit_learning_rate=5e-4,
    fit_steps=600,
)

_PAPER = Config(preset="paper").replace(
    image_size=128,
    cube_mm=300.0,
    encoder_widths=(64, 128, 256),
    generator_widths=(256, 128),
    residual_width=512,
    private_blocks=3,
    mapping_widths=(1024, 1024, 512),
    discriminator_widths=(64, 128, 256, 512, 1024),
)

# What a recipe changes of a preset: the paper's objective alone, or what measurement adds to it (docs/method.md).
RECIPES = {
    "preset": {},
    "paper": {"lambda_7_made": 0.0},
    # With a P that votes, a depth stage before the rounds costs 2.5 and 11 % of the error, and as much time again.
    "fitting": {"lambda_7_randomized": 1.0, "fit_rounds": 2, "depth_steps": 0},
}

PRESETS = {config.preset: config for config in (_TINY, _COMPACT, _DESK, _PAPER)}
