"""What a stage goes on from: its last two checkpoints, found by their names and read whole before they are believed.

A checkpoint is TensorFlow's pair `ckpt-STEP.data-...` and `ckpt-STEP.index`. It is written in a folder of its own, and
its index takes the final name last. So a kill at any moment leaves checkpoints that are whole.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import sys

import tensorflow as tf

from lsps_tf.errors import InputError
from lsps_tf.files import disk_errors
from lsps_tf.tensorflow_paths import plain_folder

KEPT = 2
_NAME = re.compile(r"ckpt-(\d+)\.index")
_SAVING = ".saving"
# What is wrong with the disk or the memory, and not with a checkpoint.
_OF_THE_MACHINE = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError, tf.errors.UnavailableError)
# What a checkpoint of other networks or optimizers raises.
_OF_OTHER_SETTINGS = (ValueError, AssertionError, LookupError, RuntimeError, tf.errors.OpError)


class StageCheckpoints:
    """The checkpoints of a stage in a folder."""

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: pathlib.Path):
        """`checkpoint` has an attribute `step`, int64, the number of steps that are done."""
        self._checkpoint, self._folder = checkpoint, folder

    def restore(self) -> None:
        """Goes back to the newest checkpoint that is whole; a line on standard error names each that is not.

        Raises:
            InputError: where none is whole though there are some, or the newest that is whole is of other settings.
        """
        steps = sorted(saved_steps(self._folder), reverse=True)
        reasons: list[str] = []
        for step in steps:
            reason = self._damage(step)
            if not reason:
                self._say_damaged(steps, reasons, step)
                self._restore(step)
                return
            reasons.append(reason)
        if reasons:
            raise InputError(
                f"{self._path(steps[0])}: the checkpoint is damaged ({reasons[0]}); delete {self._folder} to do this "
                "stage again"
            )

    def save(self) -> None:
        """Writes a checkpoint and removes older ones; InputError where the disk is full, and those are kept then."""
        step = int(self._checkpoint.step)
        saving = self._folder / _SAVING
        try:
            with disk_errors(self._folder):
                shutil.rmtree(saving, ignore_errors=True)
                saving.mkdir(parents=True)
            with plain_folder(saving) as plain:
                self._checkpoint.write(f"{plain}/ckpt-{step}")
            self._publish(saving, step)
            self._remove_others(step)
        except (tf.errors.OpError, OSError) as error:
            raise InputError(
                f"{self._folder}: the checkpoint cannot be written ({_reason(error)}); free some space and go on with "
                "--resume"
            ) from error
        finally:
            shutil.rmtree(saving, ignore_errors=True)

    def _publish(self, saving: pathlib.Path, step: int) -> None:
        """Gives the files their names, the index last, each on the disk before it has its name."""
        files = sorted(saving.glob(f"ckpt-{step}.*"), key=lambda path: path.suffix == ".index")
        for path in files:
            _sync(path)
        for path in files:
            path.replace(self._folder / path.name)
        _sync(self._folder)

    def _remove_others(self, step: int) -> None:
        """Removes all but the last: later ones are damaged, or the stage would not have come here again."""
        kept = sorted(number for number in saved_steps(self._folder) if number <= step)[-KEPT:]
        names = {f"ckpt-{number}" for number in kept}
        # Indices first, so that no checkpoint is ever half there.
        for path in sorted(self._folder.glob("ckpt-*"), key=lambda path: path.suffix != ".index"):
            if path.name.partition(".")[0] not in names:
                path.unlink()
        # Older versions of this program kept the name of the last one in it.
        (self._folder / "checkpoint").unlink(missing_ok=True)

    def _damage(self, step: int) -> str:
        """What is wrong with the files of a checkpoint, "" where every number in them can be read.

        Without this, some weights could be those of a checkpoint whose others are lost.
        """
        try:
            with plain_folder(self._folder) as plain:
                reader = tf.train.load_checkpoint(f"{plain}/ckpt-{step}")
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)
        except _OF_THE_MACHINE as error:
            raise InputError(
                f"{self._path(step)}: the checkpoint cannot be read ({_reason(error)}); mend that and go on with "
                "--resume"
            ) from error
        except (tf.errors.OpError, LookupError, ValueError, RuntimeError, MemoryError) as error:
            # A damaged index may ask for more memory than there is.
            return _reason(error)
        return ""

    def _restore(self, step: int) -> None:
        try:
            with plain_folder(self._folder) as plain:
                self._checkpoint.read(f"{plain}/ckpt-{step}").assert_existing_objects_matched()
        except _OF_OTHER_SETTINGS as error:
            raise InputError(
                f"{self._path(step)}: the checkpoint is of other settings ({_reason(error)}); delete {self._folder} to "
                "do this stage again"
            ) from error

    def _say_damaged(self, steps: list[int], reasons: list[str], good: int) -> None:
        for step, reason in zip(steps, reasons):
            print(f"{self._path(step)}: the checkpoint is damaged ({reason}); going on from {good}", file=sys.stderr)

    def _path(self, step: int) -> pathlib.Path:
        return self._folder / f"ckpt-{step}"


def checkpoints_folder(run_dir: pathlib.Path, stage: str) -> pathlib.Path:
    """Where a stage's checkpoints are."""
    return run_dir / "checkpoints" / stage


def saved_steps(folder: pathlib.Path) -> list[int]:
    """The steps whose checkpoints are in a stage's folder, in no order; none where there is no folder."""
    if not folder.is_dir():
        return []
    return [int(found[1]) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name))]


def _sync(path: pathlib.Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        # Some network disks cannot, and some not for folders.
        with contextlib.suppress(OSError):
            os.fsync(number)
    finally:
        os.close(number)


def _reason(error: Exception) -> str:
    """The first line of an error without the names that TensorFlow puts around it."""
    return re.sub(r"\{\{.*?\}\} | \[Op:\w+\]", "", (str(error).splitlines() or [type(error).__name__])[0])
