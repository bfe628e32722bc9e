"""The end of a run: it is exported where that is asked for, and what comes next is said."""

import pytest

from lsps_tf.errors import InputError
from lsps_tf.run_folder import read_settings
from training.ending import check_export, show_end
from training.session import run_session


def test_a_finished_run_is_exported(copy_of_run, tmp_path, capsys):
    model = tmp_path / "a model"
    assert show_end(read_settings(copy_of_run), copy_of_run, str(model)) == 0
    assert (model / "lsps" / "1" / "saved_model.pb").is_file()
    assert (model / "lsps.tflite").is_file()
    said = capsys.readouterr().out
    assert "export/run.py" not in said
    assert "predict.py" in said.splitlines()[-1]


def test_a_finished_run_that_is_resumed_is_exported_alike(copy_of_run, tmp_path, capsys):
    assert run_session(["--run-dir", str(copy_of_run), "--resume", "--export", str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "lsps.tflite").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; give another folder for --export"):
        run_session(["--run-dir", str(copy_of_run), "--resume", "--export", str(tmp_path / "file")])


def test_without_it_the_command_that_exports_is_said(copy_of_run, capsys):
    settings = read_settings(copy_of_run)
    check_export(None, settings)
    assert show_end(settings, copy_of_run) == 0
    assert "export/run.py" in capsys.readouterr().out
