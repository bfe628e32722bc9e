"""What settings.json of version 1 left to a table of methods: which stage a run ends with, and which domain predicts.

Later versions store both. The methods of version 1 are these four, and no method is added here.
"""

from __future__ import annotations

from typing import Any

# By the method: its title, its last stage before any rounds of fitting, and the domain that predicts.
_METHODS = {
    "lsps": ("LSPS (latent space of simulated depth, sensor depth and pose)", "posterior", "real"),
    "synthetic-only": ("regression on simulated frames alone", "regression", "synthetic"),
    "real": ("regression on labelled sensor frames", "regression", "real"),
    "crossing-nets": ("crossing nets on sensor frames, without simulation", "posterior", "real"),
}
_WITH_ROUNDS = "lsps"


def from_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a settings.json of version 1 with what version 2 has besides; KeyError on an unknown method."""
    title, last, domain = _METHODS[values["method"]]
    rounds = values["config"].get("training", {}).get("fit_rounds", 0)
    if rounds and values["method"] == _WITH_ROUNDS:
        last = f"fit{rounds}"
    return {**values, "version": 2, "method_title": title, "last_stage": last, "domain": domain}
