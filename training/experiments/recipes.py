"""Named sets of settings for all cells of an experiment: `--recipe NAME`. A new recipe is one entry of RECIPES.

A recipe's settings come after the preset's and before those that the command line names.
"""

from __future__ import annotations

from typing import Any

from lsps_tf.errors import InputError

RECIPES: dict[str, dict[str, Any]] = {
    # The objective of the paper alone: no supervision on translated images. Sizes and schedule are the preset's.
    "paper": {"lambda_7_made": 0.0},
    # The preset as `run.py` trains it.
    "preset": {},
}
DEFAULT = "paper"


def get_recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe by their names; InputError for a name that there is not."""
    if name not in RECIPES:
        raise InputError(f"--recipe {name}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
