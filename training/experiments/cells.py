"""What an experiment consists of: rows, their cells (one a seed), and the trainings that the cells need and share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from lsps_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Training:
    """One stage of one run, in a run folder of its own; cells that need the same one share it.

    Attributes:
        name: of what is trained; with the seed it names the folder.
        stage: of the run that is trained here.
        seed: of the run.
        method: of `run.py`.
        base: the training whose weights it starts from, None for initial weights.
        options: further options and settings of `run.py` by their names.
        longer: so many times the preset's steps of its stage: of the posterior stage, the regression or a round.
        fits_of: a training that fits the same frames from the same networks, whose fits it takes where they are there.
    """

    name: str
    stage: str
    seed: int
    method: str = "lsps"
    base: Training | None = None
    options: tuple[tuple[str, Any], ...] = ()
    longer: int = 1
    fits_of: Training | None = None

    @property
    def folder(self) -> str:
        return f"{self.name}-seed{self.seed}"

    def chain(self) -> list[Training]:
        """What must be trained for it in order, itself last."""
        return [*(self.base.chain() if self.base else []), self]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One set of figures.

    Attributes:
        row: key of its row.
        training: whose result is measured.
        measure: how, a name of `baselines.PREDICTORS`.
        beside: a second training that the measure needs, or None.
    """

    row: str
    training: Training
    measure: str = "run"
    beside: Training | None = None

    @property
    def seed(self) -> int:
        return self.training.seed

    @property
    def name(self) -> str:
        return f"{self.row}-seed{self.seed}"

    def trainings(self) -> list[Training]:
        """All that must be trained for it, in order."""
        return list(dict.fromkeys([*self.training.chain(), *(self.beside.chain() if self.beside else [])]))


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        key: names it in options and files.
        title: names it in tables.
        build: its cell of a seed.
        labels: fraction of the real labels, for the plot over them.
        group: the curve of that plot it belongs to.
        datasets: the datasets that have it; () means all.
        same_compute_as: the row whose second column this one is: it trains as long as all stages of the best recipe.
    """

    key: str
    title: str
    build: Callable[[int], Cell]
    labels: float | None = None
    group: str = ""
    datasets: tuple[str, ...] = ()
    same_compute_as: str = ""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A table and its plot.

    Attributes:
        name: what the command calls it.
        title: of the table.
        rows: as they are shown.
        first: keys of the rows that are run first, since the others compare with them.
        plot: "curves" (frames within a distance), "labels" (errors over the share of labels) or "bars" (errors).
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    first: tuple[str, ...] = ()
    plot: str = "curves"

    def row(self, key: str) -> Row:
        return next(row for row in self.rows if row.key == key)


def pose(seed: int) -> Training:
    """The pose stage that all methods share; on synthetic poses, so that no label takes part in it."""
    return Training("pose", "pose", seed)


def depth(seed: int) -> Training:
    """The depth stage without labels, which every fraction of labels shares."""
    return Training("depth", "depth", seed, base=pose(seed))


def lsps(seed: int, labels: float = 0.0) -> Training:
    """The posterior stage of the paper's recipe after a depth stage, with a fraction of the real labels."""
    options = (*_labels(labels), ("recipe", "paper"))
    return Training(_with_labels("lsps", labels), "posterior", seed, base=depth(seed), options=options)


def lsps_translations(seed: int) -> Training:
    """What the preset adds to it: supervision of translated images."""
    return Training("lsps-translations", "posterior", seed, base=depth(seed), options=(("recipe", "preset"),))


def lsps_randomised(seed: int) -> Training:
    """The same with randomised images as well: the posterior stage before rounds that start from a depth stage."""
    options = (("recipe", "preset"), ("lambda_7_randomized", 1.0))
    return Training("lsps-randomised", "posterior", seed, base=depth(seed), options=options)


def fitting_first(seed: int) -> Training:
    """The posterior stage of the recipe `fitting`, which has no depth stage. Its rounds are trainings of their own."""
    # The steps of depth stages, where an experiment gives some, are not for this recipe.
    options = (("recipe", "fitting"), ("fit_rounds", 0), ("depth_steps", 0))
    return Training("fitting-first", "posterior", seed, base=pose(seed), options=options)


def fitted(
    seed: int,
    labels: float = 0.0,
    rounds: int = 2,
    name: str = "fitting-fit{}",
    first: Callable[[int], Training] = fitting_first,
    **options: Any,
) -> Training:
    """Rounds of training by fitting: the recipe `fitting`.

    A fraction of the labels enters in the last round, so that fractions share the rest. A number of labelled frames
    enters in every round.

    Args:
        seed: of the run.
        labels: fraction of the real labels, or above 1 a number of frames.
        rounds: how many.
        name: of a round's training, with a place for its number.
        first: the posterior stage before the rounds, of a seed.
        options: further settings of the rounds.
    """
    training = first(seed)
    for number in range(1, rounds + 1):
        used = labels if number == rounds or labels > 1 else 0.0
        given = (("recipe", "fitting"), ("fit_rounds", number), *sorted(options.items()))
        fit = Training(name.format(number), f"fit{number}", seed, base=training, options=given)
        training = fit if not used else _fitted_with_labels(fit, used, shares_fits=number == 1 or labels <= 1)
    return training


def lsps_fitted(seed: int, rounds: int = 2, name: str = "lsps-fit{}", **options: Any) -> Training:
    """Rounds of training by fitting after a depth stage and supervision of translated images."""
    return fitted(seed, rounds=rounds, name=name, first=lsps_randomised, **options)


def _fitted_with_labels(fit: Training, labels: float, shares_fits: bool) -> Training:
    """A round that trains on real labels besides its fits; with `shares_fits` those of the round without."""
    name, options = _with_labels(fit.name, labels), (*_labels(labels), *fit.options)
    return dataclasses.replace(fit, name=name, options=options, fits_of=fit if shares_fits else None)


def _with_labels(name: str, labels: float) -> str:
    return f"{name}-{amount(labels)}" if labels else name


def _labels(labels: float) -> tuple[tuple[str, Any], ...]:
    return (("labels", labels),) if labels else ()


def lsps_variant(seed: int, key: str, own_pose: bool = False, **options: Any) -> Training:
    """LSPS without labels and with other settings of its depth stage and its posterior stage.

    Args:
        seed: of the run.
        key: names it.
        own_pose: whether it goes without the pose stage that all share.
        options: the settings.
    """
    changed = (("recipe", "paper"), *sorted(options.items()))
    trunk = Training(f"depth-{key}", "depth", seed, base=None if own_pose else pose(seed), options=changed)
    return Training(key, "posterior", seed, base=trunk, options=changed)


def synthetic_only(seed: int, trunk: bool = False) -> Training:
    """The regression on synthetic frames, from scratch or from the layers that the depth stage trained."""
    name = "synthetic-only-trunk" if trunk else "synthetic-only"
    return Training(name, "regression", seed, "synthetic-only", depth(seed) if trunk else pose(seed))


def synthetic_variant(seed: int, name: str, **options: Any) -> Training:
    """The regression on synthetic frames from scratch, with other settings or frames."""
    base = pose(seed)
    return Training(name, "regression", seed, "synthetic-only", base, tuple(sorted(options.items())))


def real(seed: int, labels: float = 1.0, trunk: bool = False) -> Training:
    """The regression on real frames with labels, from scratch or from the layers that the depth stage trained."""
    name = "real-trunk" if trunk else "real" if labels == 1 else f"real-{amount(labels)}"
    base = depth(seed) if trunk else pose(seed)
    return Training(name, "regression", seed, "real", base, (("labels", labels),))


def crossing_nets(seed: int, labels: float) -> Training:
    """The baseline without simulation, each stage of which depends on the labels."""
    name, options = f"crossing-nets-{amount(labels)}", (("labels", labels),)
    own_pose = Training(f"{name}-pose", "pose", seed, "crossing-nets", options=options)
    own_depth = Training(f"{name}-depth", "depth", seed, "crossing-nets", own_pose, options)
    return Training(name, "posterior", seed, "crossing-nets", own_depth, options)


def longer(training: Training, times: int) -> Training:
    """The same regression, or round, with so many times the steps."""
    return dataclasses.replace(training, name=f"{training.name}-longer", longer=times)


def amount(labels: float) -> str:
    """Labels as names have them: "5" and "0.5" are percent, "100-frames" is a number of frames."""
    return f"{labels:g}-frames" if labels > 1 else f"{100 * labels:g}"


def of_training(key: str, build: Callable[[int], Training]) -> Callable[[int], Cell]:
    """Cells that measure what a training ends with."""
    return lambda seed: Cell(key, build(seed))


def cells_in_order(
    experiment: Experiment, seeds: Sequence[int], dataset: str, rows: Sequence[str] = (), names: Sequence[str] = ()
) -> list[Cell]:
    """The cells to run, all of a seed before the next one; InputError where a row or a cell is not in the experiment.

    Args:
        experiment: whose cells.
        seeds: one cell a row for each.
        dataset: rows that it cannot have are left out.
        rows: keys of the rows to run; () means all.
        names: of the cells to run; () means all.
    """
    known = {row.key for row in experiment.rows}
    for key in rows:
        if key not in known:
            raise InputError(f"--rows {key}: {experiment.name} has the rows {', '.join(sorted(known))}")
    chosen = [row for row in experiment.rows if not row.datasets or dataset in row.datasets]
    chosen = sorted(chosen, key=lambda row: _place(row.key, experiment.first))
    cells = [row.build(seed) for seed in seeds for row in chosen if not rows or row.key in rows]
    for name in names:
        if name not in {cell.name for cell in cells}:
            raise InputError(f"--cells {name}: there is no such cell; its name is ROW-seedN, such as {cells[0].name}")
    return [cell for cell in cells if not names or cell.name in names]


def _place(key: str, first: tuple[str, ...]) -> int:
    return first.index(key) if key in first else len(first)
