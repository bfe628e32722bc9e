"""The numbers of hand finding: of the search and of what its networks see. With TensorFlow and without, the same."""

from __future__ import annotations

import pathlib

# Of the networks: their weights, for TensorFlow and for devices; the frame that the first sees, and its cells' sides;
# the crop that the second sees; the unit of their offsets. The LEAST and the FARTHEST reading that counts.
_TRAINED = pathlib.Path(__file__).resolve().parents[1] / "trained"
WEIGHTS, TFLITE = _TRAINED / "hand_finding.npz", _TRAINED / "hand_finding.tflite"
NEAREST_MM, FARTHEST_MM = 100.0, 3000.0
FRAME_HEIGHT, FRAME_WIDTH, CELL_PX = 128, 160, 4
CROP_SIZE, CUBE_MM = 64, 300.0
# Channels of both networks' outputs: a hand's logit, a right hand's, and the offset to its middle.
OUTPUTS, OFFSET_MM = 5, 50.0
# What becomes of an output in a mirror: a hand's logit, a right hand's, and the offset.
MIRRORED = (1.0, -1.0, -1.0, 1.0, 1.0)

# Of the search: places that are looked at beyond the hands that are asked for, and how often each. A place's score is
# the crop's logit and a share of the frame's; there is a hand above the least score. Where one hand is asked for, it is
# none that is so far below the best. Nearer to each other two are the same. A hand that is followed needs the crop's
# logit alone. The thresholds are within a point of the best of benchmarks/hand_finding_thresholds.py, and have
# fewer false alarms.
MORE_PLACES, LOOKS = 5, 2
FRAME_LOGIT, FRAME_SHARE, LEAST_SCORE, SCORE_MARGIN = -4.0, 0.9, -1.5, 2.0
CROP_LOGIT = -0.5
SAME_HAND_MM = 45.0
# Where one hand is asked for, what is nearer to a better place belongs to that hand: its wrist, its arm, what it holds.
BESIDE_MM = 100.0
# A hand whose middle is nearer to the frame's border is cut by it, or is the end of an arm there.
WHOLE_MM = 75.0

# Of the fit of predicted bones to what a crop shows: every so many pixels there is a point, and those count that are so
# near to the centre. A bone has so many points, so far behind the skin. What is farther from all is not explained.
FIT_STEP_PX, FIT_REACH_MM = 3, 90.0
BONE_POINTS, SKIN_MM, UNEXPLAINED_MM = 2, 8.0, 20.0

# Of the centre of mass. From the centre of a hand no finger reaches further; what does is arm, body or another object.
REACH_MM = 140.0
# The shell around that reach: an arm leaves it, and fills more than this share of it.
SHELL_MM = (0.85 * REACH_MM, 1.15 * REACH_MM)
ARM_SHARE = 0.08
# The wrist lies about this far from the centre of mass of the hand.
WRIST_MM = 60.0
ITERATIONS = 8
