"""Tables of an experiment from the figures of its cells: means and spread over the seeds, Markdown and JSON."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from tabulate import tabulate

from lsps_tf import draw, metrics
from lsps_tf.files import atomic_path, write_json
from training.experiments import figures
from training.experiments.cells import Experiment

# (0 % of the gap, 100 % of it). The paper's 74 and 58 % are those of the rows that use its pre-trained model.
GAPS = {"gap": ("synthetic-only", "real"), "gap_trunk": ("synthetic-only-trunk", "real-trunk")}
Cells = dict[str, dict[int, dict[str, Any]]]


def read_cells(output: pathlib.Path, experiment: Experiment, seeds: list[int]) -> Cells:
    """The figures that are there: by the rows' keys and the seed."""
    there = figures.read(output)
    names = {row.key: {seed: row.build(seed).name for seed in seeds} for row in experiment.rows}
    return {key: {seed: there[name] for seed, name in of_row.items() if name in there} for key, of_row in names.items()}


def summarize(experiment: Experiment, cells: Cells) -> list[dict[str, Any]]:
    """A line per row that has cells.

    Returns:
        Per row `key`, `title`, `labels`, `group`, `seeds`; `test_mm`, `test_within_40_mm_percent` and `validation_mm`,
        each with `mean`, `spread` (the standard deviation of a sample; None for one seed) and `by_seed`; `seconds` of
        training, of the last stage and of all stages before it; `same_compute_mm`, as `test_mm`, of the row's second
        column, None without one; and the gaps of GAPS where their rows are there.
    """
    return [
        {
            **{"key": row.key, "title": row.title, "labels": row.labels, "group": row.group},
            "seeds": sorted(cells[row.key]),
            "test_mm": _over_seeds(cells[row.key], "test", "mean_error_mm"),
            "test_within_40_mm_percent": _over_seeds(cells[row.key], "test", "within_40_mm_percent"),
            "validation_mm": _over_seeds(cells[row.key], "validation", "mean_error_mm"),
            "same_compute_mm": _same_compute(experiment, cells, row.key),
            "seconds": _seconds(cells[row.key]),
            **{name: gap_closed(cells, row.key, *ends) for name, ends in GAPS.items()},
        }
        for row in experiment.rows
        if cells[row.key] and not row.same_compute_as
    ]


def _same_compute(experiment: Experiment, cells: Cells, key: str) -> dict[str, Any] | None:
    longer = [row.key for row in experiment.rows if row.same_compute_as == key]
    return _over_seeds(cells[longer[0]], "test", "mean_error_mm") if longer else None


def gap_closed(cells: Cells, row: str, nothing: str, everything: str) -> dict[str, Any] | None:
    """How much of the gap between two rows another one closes, on the test frames.

    (nothing - row) / (nothing - everything) of the mean errors over the seeds that all three have, in percent, and the
    same by seed. None where there is no such seed or no gap.
    """
    if not all(cells.get(key) for key in (row, nothing, everything)):
        return None
    seeds = sorted(set.intersection(*(set(cells[key]) for key in (row, nothing, everything))))
    errors = np.array([[cells[key][s]["test"]["mean_error_mm"] for key in (row, nothing, everything)] for s in seeds])
    if not seeds or errors[:, 1].mean() <= errors[:, 2].mean():
        return None
    by_seed = {s: _percent_closed(*e) for s, e in zip(seeds, errors) if e[1] > e[2]}
    return {"percent": _percent_closed(*errors.mean(axis=0)), "by_seed": by_seed}


def format_table(experiment: Experiment, lines: list[dict[str, Any]]) -> str:
    """The lines of `summarize` as Markdown: errors as mean ± spread over the seeds."""
    gaps = [name for name in GAPS if any(line[name] for line in lines)]
    titles = {"gap": "gap closed %", "gap_trunk": "gap closed %, from the trunk"}
    second = ["same compute, test mm"] if any(line["same_compute_mm"] for line in lines) else []
    headers = ["", "test mm", *second, "within 40 mm %", "validation mm", *(titles[name] for name in gaps)]
    headers += ["minutes", "seeds"]
    rows = [
        (
            line["title"],
            _plus_minus(line["test_mm"], 2),
            *(_plus_minus(line["same_compute_mm"], 2) for _ in second),
            _plus_minus(line["test_within_40_mm_percent"], 1),
            _plus_minus(line["validation_mm"], 2),
            *(_gap(line[name]) for name in gaps),
            f"{line['seconds']['last_stage'] / 60:.1f} + {line['seconds']['before'] / 60:.1f}",
            ", ".join(map(str, line["seeds"])),
        )
        for line in lines
    ]
    align = ("left", *["right"] * (len(headers) - 1))
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def write_tables(experiment: Experiment, output: pathlib.Path, seeds: list[int]) -> tuple[str, list[pathlib.Path]]:
    """Writes NAME.md, NAME.json and NAME.png from the cells in `output`. Returns the table and the paths."""
    cells = read_cells(output, experiment, seeds)
    lines = summarize(experiment, cells)
    if not lines:
        return "no figures yet", []
    paths = [output / f"{experiment.name}{end}" for end in (".md", ".json", ".png")]
    table = format_table(experiment, lines)
    with atomic_path(paths[0]) as partial:
        partial.write_text(f"{experiment.title}\n\n{table}\n\n{NOTE}\n", encoding="utf-8")
    write_json(paths[1], {"experiment": experiment.name, "rows": lines})
    _draw(experiment, cells, lines, paths[2])
    return table, paths


NOTE = (
    "Mean joint error and frames with all joints within 40 mm on test subjects, mean ± standard deviation over the "
    "seeds. Gap closed: (synthetic-only - row) / (synthetic-only - real labels) of the means, by seed in brackets. "
    "Minutes: the row's last stage + the stages before it, which rows may share. Same compute: the row trained as "
    "long as all stages of the best recipe take."
)


def _draw(experiment: Experiment, cells: Cells, lines: list[dict[str, Any]], path: pathlib.Path) -> None:
    if experiment.plot == "labels":
        lines = [line for line in lines if line["labels"] is not None]
        groups = dict.fromkeys(line["group"] for line in lines)
        draw.label_curves({name: _curve([line for line in lines if line["group"] == name]) for name in groups}, path)
    elif experiment.plot == "bars":
        errors = [line["test_mm"] for line in lines]
        titles, means = [line["title"] for line in lines], [error["mean"] for error in errors]
        draw.spread_bars(titles, means, [error["spread"] or 0.0 for error in errors], path)
    else:
        percents = {
            line["title"]: [cell["test"]["curve_percent"] for cell in cells[line["key"]].values()] for line in lines
        }
        draw.error_curve({name: (metrics.CURVE_MM, np.mean(each, axis=0)) for name, each in percents.items()}, path)


def _curve(lines: list[dict[str, Any]]) -> tuple[list[float], list[float], list[float]]:
    """Percent of the labels, mean errors and their spread, mm, of one method's lines."""
    errors = [line["test_mm"] for line in lines]
    percents = [100.0 * line["labels"] for line in lines]
    return percents, [error["mean"] for error in errors], [error["spread"] or 0.0 for error in errors]


def _over_seeds(cells: dict[int, dict[str, Any]], split: str, figure: str) -> dict[str, Any] | None:
    by_seed = {seed: cell[split][figure] for seed, cell in sorted(cells.items()) if split in cell}
    if not by_seed:
        return None
    values = list(by_seed.values())
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "spread": spread, "by_seed": by_seed}


def _seconds(cells: dict[int, dict[str, Any]]) -> dict[str, float]:
    """Mean over the seeds: of the stage that a cell ends with, and of all before it, which cells may share."""
    parts = [list(cell["seconds"]["training"].values()) for cell in cells.values()]
    return {
        "last_stage": float(np.mean([p[-1] for p in parts])),
        "before": float(np.mean([sum(p[:-1]) for p in parts])),
    }


def _percent_closed(error: float, nothing: float, everything: float) -> float:
    return float(100.0 * (nothing - error) / (nothing - everything))


def _plus_minus(value: dict[str, Any] | None, digits: int) -> str:
    if value is None:
        return ""
    mean = f"{value['mean']:.{digits}f}"
    return mean if value["spread"] is None else f"{mean} ± {value['spread']:.{digits}f}"


def _gap(gap: dict[str, Any] | None) -> str:
    if gap is None:
        return ""
    by_seed = ", ".join(f"{percent:.0f}" for percent in gap["by_seed"].values())
    return f"{gap['percent']:.0f}" + (f" ({by_seed})" if len(gap["by_seed"]) > 1 else "")
