"""The table of presets that docs/method.md shows: sizes, parameters and schedules, counted from the built networks.

python benchmarks/presets.py            # prints it
python benchmarks/presets.py --write    # puts it into docs/method.md
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from lsps_tf.config import Config, TrainingConfig
from lsps_tf.networks import Networks, build_networks
from lsps_tf.presets import PRESETS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "method.md"
BEGIN, END = "<!-- presets: python benchmarks/presets.py --write -->\n", "<!-- end of presets -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/method.md")
    if not parser.parse_args().write:
        print(presets_table(), end="")
        return
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + presets_table() + "\n" + END + rest.split(END)[1], encoding="utf-8")


def presets_table() -> str:
    """Markdown: a column per preset."""
    columns = {name: describe_preset(config) for name, config in PRESETS.items()}
    header = ["| |", *(f" {name} |" for name in columns)]
    rows = ["".join(header), "| --- |" + " ---: |" * len(columns)]
    rows += [f"| {row} | " + " | ".join(column[row] for column in columns.values()) + " |" for row in columns["tiny"]]
    return "\n".join(rows) + "\n"


def describe_preset(config: Config) -> dict[str, str]:
    """A preset's rows of the table."""
    networks = build_networks(config.network, config.data.image_size, seed=0)
    training, latent = config.training, networks.encoders["real"].compute_output_shape(_image_shape(config))
    return {
        "image, pixels": f"{config.data.image_size}",
        "cube, mm": f"{config.data.cube_mm:g}",
        "depth latent": " x ".join(map(str, latent[1:])),
        **{f"parameters of {name}": f"{count:,}" for name, count in count_parameters(networks).items()},
        "pose stage, steps x poses": f"{training.pose_steps:,} x {training.pose_batch}",
        "depth stage, steps x images of each domain": f"{training.depth_steps:,} x {training.depth_batch}",
        "mapping stage, steps x images": _mapping_stage(training),
        "posterior stage, steps x images": f"{training.posterior_steps:,} x {training.posterior_batch}",
        "of these, images of each domain to match": f"{training.matching_batch}",
        "a round of `--recipe fitting`, steps x images": f"{training.fit_steps:,} x {training.posterior_batch}",
    }


def _mapping_stage(training: TrainingConfig) -> str:
    return f"{training.mapping_steps:,} x {training.mapping_batch}" if training.mapping_steps else "none"


def count_parameters(networks: Networks) -> dict[str, int]:
    """Parameters by the paper's letters, layers that several networks share once."""
    parts = {
        "E_y and G_y": (networks.pose_encoder, networks.pose_decoder),
        "E_s and E_r": networks.encoders.values(),
        "G_s and G_r": networks.generators.values(),
        "D_s and D_r": networks.discriminators.values(),
        "P's last layer": (networks.posterior,),
        "M": (networks.mapping,),
        "all": (networks,),
        "what is deployed, P_r": networks.deployed_layers("real"),
    }
    return {name: _count(modules) for name, modules in parts.items()}


def _count(modules: Iterable[tf.Module]) -> int:
    variables = {variable.ref(): variable for module in modules for variable in module.variables}
    return sum(variable.shape.num_elements() for variable in variables.values())


def _image_shape(config: Config) -> tuple[None, int, int, int]:
    return None, config.data.image_size, config.data.image_size, 1


if __name__ == "__main__":
    main()
