"""The command line of `training/run.py`: every setting by its name, and nothing else."""

import dataclasses

import pytest

from lsps_tf.config import GROUPS, RENAMED, Config, setting_fields
from lsps_tf.errors import InputError
from lsps_tf.presets import PRESETS
from training.arguments import build_parser, check_config, parse_arguments, resolve_config


def as_text(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("name", setting_fields())
def test_every_setting_is_an_option_of_its_type(name):
    value = getattr(getattr(PRESETS["paper"], _group(name)), name)
    option = name.replace("_", "-")
    if isinstance(value, bool):
        assert parse_arguments([f"--{option}"]) == {name: True} and parse_arguments([f"--no-{option}"]) == {name: False}
        return
    given = parse_arguments([f"--{option}", as_text(value)])
    assert given[name] == value and type(given[name]) is type(value)


def test_settings_go_by_their_older_names_too():
    for old, new in RENAMED.items():
        assert parse_arguments([f"--{old.replace('_', '-')}", "0.5"]) == {new: 0.5}


def _group(name):
    from lsps_tf.config import group_of

    return group_of(name)


def test_every_setting_is_explained():
    assert all(field.metadata["help"] for field in setting_fields().values())
    text = build_parser().format_help()
    assert all("--" + name.replace("_", "-") in text for name in setting_fields())


def test_options_that_were_not_given_stay_out():
    assert parse_arguments(["--dataset", "sim", "--seed", "3"]) == {"dataset": "sim", "seed": 3}


def test_settings_change_the_preset():
    config = resolve_config({"preset": "tiny", "seed": 4, "encoder_widths": (4, 6, 10), "labels": 0.5})
    assert config == PRESETS["tiny"].replace(seed=4, encoder_widths=(4, 6, 10))
    assert resolve_config({}) == PRESETS["compact"]


@pytest.mark.parametrize(
    ("argument", "nearest"),
    [
        ("--posterior-learning-rat", "--posterior-learning-rate"),
        ("--depth-step=5", "--depth-steps"),
        ("--lables", "--labels"),
        ("--rundir", "--run-dir"),
    ],
)
def test_unknown_settings_name_the_nearest(argument, nearest):
    with pytest.raises(InputError, match=f"unknown setting '{argument}'; the nearest one is '{nearest}'"):
        parse_arguments(["--dataset", "sim", argument, "1"])


def test_unknown_settings_in_python_name_the_nearest_too():
    with pytest.raises(ValueError, match="unknown setting 'pose_step'; the nearest one is 'pose_steps'"):
        Config().replace(pose_step=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels", "many"], "--labels: invalid float value: 'many'"),
        (["--preset", "huge"], "--preset: invalid choice: 'huge'"),
        (["--method", "magic"], "--method: invalid choice"),
        (["--pose-steps", "2.5"], "--pose-steps: invalid int value"),
        (["--encoder-widths", "4,x"], "'4,x' is no list of whole numbers"),
        (["--seed"], "--seed: expected one argument"),
        (["sim"], "'sim' is one argument too many"),
    ],
)
def test_values_that_cannot_be_read(arguments, message):
    with pytest.raises(InputError) as error:
        parse_arguments(arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pose_steps": 0}, "--pose-steps 0: it must be above 0"),
        ({"posterior_learning_rate": -1.0}, "--posterior-learning-rate -1.0: it must be above 0"),
        ({"posterior_learning_rate": float("nan")}, "--posterior-learning-rate nan"),
        ({"cycle": "no"}, "--cycle no: it is on or off, --cycle or --no-cycle"),
        ({"posterior_average": 1.0}, "--posterior-average 1: it is a decay below 1"),
        ({"depth_average": 1.0}, "--depth-average 1: it is a decay below 1"),
        ({"mapping": "joints"}, "--mapping joints: choose one of code, bones"),
        ({"mapping_steps": -1}, "--mapping-steps -1: it must be at least 0"),
        ({"lambda_3": -1.0}, "--lambda-3 -1.0: it must be at least 0"),
        ({"seed": -1}, "--seed -1: it must be at least 0"),
        ({"encoder_widths": (4, 0, 4)}, r"--encoder-widths \(4, 0, 4\)"),
        ({"decay": "slow"}, "--decay slow: choose one of none, cosine, halving"),
        ({"matching_batch": 9, "posterior_batch": 8}, "--matching-batch 9: it is a part of --posterior-batch 8"),
    ],
)
def test_values_without_a_meaning_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        resolve_config({"preset": "tiny", **settings})


def test_zeros_that_switch_something_off_are_taken():
    check_config(PRESETS["tiny"].replace(lambda_8_depth=0.0, rotation_degrees=0.0, translation_mm=0.0, seed=0))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_sound_and_survive_json(preset):
    import json

    config = PRESETS[preset]
    check_config(config)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_no_two_settings_share_a_name():
    groups = [getattr(Config(), name) for name in GROUPS]
    assert len(setting_fields()) == sum(len(dataclasses.fields(group)) for group in groups)
