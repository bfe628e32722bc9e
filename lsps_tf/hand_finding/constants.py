"""The numbers of hand finding: of the search and of what its networks see. With TensorFlow and without, the same."""

from __future__ import annotations

import math
import pathlib

# Of the search.
NEAREST_MM, FARTHEST_MM = 100.0, 3000.0
# A hand, edge on and far away, still shows this much surface; sensor speckle does not.
SMALLEST_HAND_MM2 = 1200.0
# From the centre of a hand no finger reaches further; what does is arm, body or another object.
REACH_MM = 140.0
# The shell around that reach: an arm leaves it, and fills more than this share of it.
SHELL_MM = (0.85 * REACH_MM, 1.15 * REACH_MM)
ARM_SHARE = 0.08
# The wrist lies about this far from the centre of mass of the hand.
WRIST_MM = 60.0
# As far as this what belongs to the nearest blob is looked for its ends.
ARM_MM = 350.0
# In these directions, x and y.
DIRECTIONS = tuple((math.cos(k * math.pi / 4.0), math.sin(k * math.pi / 4.0)) for k in range(8))
ITERATIONS, TRACKING_ITERATIONS = 8, 3
# Frames are searched at about this width in pixels.
SEARCH_WIDTH, PALM_SEARCH_WIDTH = 160, 320
# Depth is cut into slabs; so many together are as thick as a blob.
SLAB_MM, BLOB_SLABS = 20.0, 5
SLABS = int((FARTHEST_MM - NEAREST_MM) / SLAB_MM)
# A grid over x and y tells the densest part of a blob.
CELL_MM, CELLS = 40.0, 64
# Beyond this logit the network is sure, and the nearer of two hands wins: so much nearer is worth a logit of 1.
SURE, NEARER_MM = 4.0, 200.0

# Of the networks: their weights, the cube that they see, the unit of their offsets, the slope of their LeakyReLUs.
WEIGHTS = pathlib.Path(__file__).resolve().parents[1] / "trained" / "hand_finding.npz"
CUBE_MM = 300.0
# Sides of the cells of the frame's network in pixels, and of the frames that it sees.
CELL_PX = 4
FRAME_HEIGHT, FRAME_WIDTH = 128, 160
OFFSET_MM = 50.0
LEAK = 0.1
# The crop's side in pixels and the convolutions' channels of the network that runs without TensorFlow, too.
PRESENCE_SIZE, PRESENCE_WIDTHS = 32, (16, 32, 48)
