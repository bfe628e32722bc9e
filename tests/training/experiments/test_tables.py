"""Tables of experiments from cells written by hand: means, spread, gaps, what is missing; the order of cells."""

import json

import pytest
from PIL import Image

from lsps_tf.errors import InputError
from training.arguments import resolve_config
from training.experiments import figures
from training.experiments.cells import cells_in_order
from training.experiments.command import EXPERIMENTS
from training.experiments.tables import gap_closed, read_cells, summarize, write_tables
from training.methods import METHODS

TABLE1, LABELS, ABLATION = (EXPERIMENTS[name] for name in ("table1", "labels", "ablation"))


def write(output, row, seed, test_mm, validation_mm=None):
    part = {"frames": 5, "within_40_mm_percent": 100 - test_mm, "curve_percent": list(range(81))}
    values = {"cell": f"{row}-seed{seed}", "row": row, "seed": seed, "test": {**part, "mean_error_mm": test_mm}}
    values["validation"] = {**part, "mean_error_mm": validation_mm or test_mm - 1}
    values["seconds"] = {"measuring": 1.0, "training": {"pose": 30.0, "depth": 90.0, "own": 60.0 * (seed + 1)}}
    figures.append(output, values)


@pytest.fixture
def output(tmp_path):
    for seed, (nothing, lsps, real) in enumerate([(30.0, 22.0, 20.0), (32.0, 23.0, 20.0), (34.0, 24.0, 23.0)]):
        write(tmp_path, "synthetic-only", seed, nothing)
        write(tmp_path, "lsps", seed, lsps)
        write(tmp_path, "real", seed, real)
    write(tmp_path, "oracle", 1, 21.5)
    return tmp_path


def test_means_and_spread_are_those_of_the_seeds(output):
    lines = {line["key"]: line for line in summarize(TABLE1, read_cells(output, TABLE1, [0, 1, 2]))}
    assert list(lines) == ["synthetic-only", "lsps", "real", "oracle"]
    assert lines["lsps"]["test_mm"] == {"mean": 23.0, "spread": 1.0, "by_seed": {0: 22.0, 1: 23.0, 2: 24.0}}
    assert lines["lsps"]["validation_mm"]["mean"] == 22.0
    assert lines["lsps"]["seconds"] == {"last_stage": 120.0, "before": 120.0}
    assert lines["oracle"]["test_mm"]["spread"] is None and lines["oracle"]["seeds"] == [1]


def test_the_gap_is_closed_as_the_paper_counts_it(output):
    cells = read_cells(output, TABLE1, [0, 1, 2])
    gap = gap_closed(cells, "lsps", "synthetic-only", "real")
    assert gap["percent"] == pytest.approx(100 * (32 - 23) / (32 - 21))
    assert gap["by_seed"] == pytest.approx({0: 80.0, 1: 75.0, 2: 100 * 10 / 11})
    # One seed of the oracle is compared with the same seed of the others.
    assert gap_closed(cells, "oracle", "synthetic-only", "real")["percent"] == pytest.approx(100 * 10.5 / 12)
    assert gap_closed(cells, "lsps", "real", "synthetic-only") is None
    assert gap_closed(cells, "lsps", "synthetic-only-trunk", "real-trunk") is None
    paper = {row: {0: {"test": {"mean_error_mm": mm}}} for row, mm in (("s", 23.71), ("lsps", 17.84), ("r", 15.83))}
    assert gap_closed(paper, "lsps", "s", "r")["percent"] == pytest.approx(74.5, abs=0.05)


def test_the_table_is_made_from_the_cells_alone(output):
    table, paths = write_tables(TABLE1, output, [0, 1, 2])
    assert "| LSPS, unlabelled real frames: the paper's recipe | 23.00 ± 1.00 | 77.0 ± 1.0 |" in " ".join(table.split())
    assert "| 82 (80, 75, 91) | 2.0 + 2.0 | 0, 1, 2 |" in " ".join(table.split())
    assert table in paths[0].read_text() and "| 21.50 |" in " ".join(table.split())
    assert [row["key"] for row in json.loads(paths[1].read_text())["rows"]][-1] == "oracle"
    with Image.open(paths[2]) as picture:
        assert picture.size[0] > 500
    assert write_tables(ABLATION, output, [7]) == ("no figures yet", [])


def test_the_second_column_is_of_the_longer_training(output):
    write(output, "synthetic-only-longer", 0, 27.0)
    write(output, "synthetic-only-longer", 2, 28.0)
    lines = {line["key"]: line for line in summarize(TABLE1, read_cells(output, TABLE1, [0, 1, 2]))}
    assert list(lines) == ["synthetic-only", "lsps", "real", "oracle"]
    assert lines["synthetic-only"]["same_compute_mm"]["by_seed"] == {0: 27.0, 2: 28.0}
    assert lines["real"]["same_compute_mm"] is None and lines["lsps"]["same_compute_mm"] is None
    rows = write_tables(TABLE1, output, [0, 1, 2])[0].splitlines()
    assert "| same compute, test mm |" in " ".join(rows[0].split())
    assert "| 32.00 ± 2.00 | 27.50 ± 0.71 |" in " ".join(rows[2].split())


@pytest.mark.parametrize("experiment", [LABELS, ABLATION], ids=lambda experiment: experiment.name)
def test_the_other_experiments_have_plots_too(experiment, output):
    for seed in (0, 1):
        for number, row in enumerate(experiment.rows):
            write(output, row.key, seed, 40.0 - number + seed)
    table, paths = write_tables(experiment, output, [0, 1])
    assert table.count("\n") == len(experiment.rows) + 1
    with Image.open(paths[2]) as picture:
        assert picture.size[0] > 500


def test_the_rows_that_others_compare_with_come_first_and_seeds_one_by_one():
    names = [cell.name for cell in cells_in_order(TABLE1, [0, 1], "sim")]
    assert names[:4] == ["mean-pose-seed0", "synthetic-only-seed0", "real-seed0", "lsps-seed0"]
    assert len(names) == 2 * len(TABLE1.rows) and names[len(TABLE1.rows)] == "mean-pose-seed1"
    assert len(set(names)) == len(names)
    assert "oracle-seed0" not in [cell.name for cell in cells_in_order(TABLE1, [0], "nyu")]
    chosen = cells_in_order(TABLE1, [0, 1], "sim", rows=["lsps"], names=["lsps-seed1"])
    assert [cell.name for cell in chosen] == ["lsps-seed1"]
    with pytest.raises(InputError, match="--rows lspd"):
        cells_in_order(TABLE1, [0], "sim", rows=["lspd"])


def test_one_depth_stage_serves_every_fraction_of_labels():
    cells = [cell for cell in cells_in_order(LABELS, [0], "sim") if not cell.row.startswith("crossing-nets")]
    trainings = {training for cell in cells for training in cell.trainings()}
    assert [t.folder for t in trainings if t.stage == "depth"] == ["depth-seed0"]
    assert [t.folder for t in trainings if t.stage == "pose" and t.name == "pose"] == ["pose-seed0"]
    amounts = {dict(t.options).get("labels", 0.0) for t in trainings if t.stage == "posterior"}
    assert amounts == {0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 100.0}
    numbers = [f"{number}-frames" for number in (10, 100)]
    assert {t.folder for t in trainings if t.stage == "fit2"} == {
        *(f"fitting-fit2-{labels}-seed0" for labels in (1, 5, 10, 25, 50, 100, *numbers)),
        "fitting-fit2-seed0",
    }
    first = {t.folder: t.fits_of and t.fits_of.folder for t in trainings if t.stage == "fit1"}
    assert first == {
        "fitting-fit1-seed0": None,
        **{f"fitting-fit1-{labels}-seed0": "fitting-fit1-seed0" for labels in numbers},
    }
    sharing = {t.fits_of.folder for t in trainings if t.stage == "fit2" and 0 < dict(t.options).get("labels", 0) <= 1}
    assert sharing == {"fitting-fit2-seed0"}
    assert cells_in_order(LABELS, [0], "sim")[0].name == "lsps-5-seed0"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_measured_is_the_last_stage_of_its_run(name):
    """Or the run would never count as finished."""
    for cell in cells_in_order(EXPERIMENTS[name], [0], "sim"):
        training = cell.training
        config = resolve_config({"preset": "tiny", **{k: v for k, v in training.options if k != "labels"}})
        assert METHODS[training.method].stages_with(config)[-1] == training.stage, training.folder


def test_rows_that_two_experiments_have_are_the_same_training():
    """They share their figures, so they must not mean two things."""
    cells = {}
    for experiment in EXPERIMENTS.values():
        for cell in cells_in_order(experiment, [0], "sim"):
            assert cells.setdefault(cell.name, cell) == cell
    folders = {}
    for cell in cells.values():
        for training in cell.trainings():
            assert folders.setdefault(training.folder, training) == training
