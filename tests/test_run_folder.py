import dataclasses
import json

import numpy as np
import pytest

from lsps_tf import run_folder
from lsps_tf.config import CODE
from lsps_tf.errors import InputError
from lsps_tf.networks import Mapping, build_networks
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import RunSettings, load_run, read_settings, write_settings
from training.methods import METHODS

TINY = PRESETS["tiny"]


def settings(method="lsps", **changes):
    values = {
        "config": TINY.replace(seed=7, decay="halving"),
        "method": method,
        "skeleton": "nyu",
        "dataset": "sim",
        "store": "data/sim/a.h5",
        "sensor": "structured-light",
        "labels": 0.25,
        "stages": METHODS[method].stages_with(TINY),
        "method_title": METHODS[method].title,
        "last_stage": METHODS[method].stages_with(TINY)[-1],
        "domain": METHODS[method].domain,
    }
    return RunSettings(**{**values, **changes})


@pytest.fixture(scope="module")
def networks():
    return build_networks(TINY.network, TINY.data.image_size, seed=1)


@pytest.fixture(scope="module")
def weights(networks, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "posterior.h5"
    run_folder.save_weights(networks, path)
    return path


def finished_run(folder, weights, method="lsps"):
    write_settings(folder, settings(method))
    path = run_folder.weights_path(folder, METHODS[method].stages_with(TINY)[-1])
    path.parent.mkdir()
    path.write_bytes(weights.read_bytes())
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_settings_come_back_as_they_were_written(tmp_path, method):
    write_settings(tmp_path / "run", settings(method))
    assert read_settings(tmp_path / "run") == settings(method)


def as_version_1(folder):
    """Takes a folder's settings back to how version 1 wrote them."""
    path = run_folder.settings_path(folder)
    values = json.loads(path.read_text())
    config = values["config"]
    config["data"].update(config.pop("baselines"))
    for group, name in (
        *(("network", name) for name in ("weight_sharing", "pose_vae")),
        *(("training", name) for name in ("cycle", "fit_translations")),
    ):
        config[group][name] = "yes" if config[group][name] else "no"
    config["training"]["learning_rate"] = config["training"].pop("posterior_learning_rate")
    for name in ("method_title", "last_stage", "domain"):
        del values[name]
    path.write_text(json.dumps({**values, "version": 1}))


@pytest.mark.parametrize("method", ["lsps", "synthetic-only", "real", "crossing-nets"])
def test_settings_of_version_1_are_read_as_what_they_meant(tmp_path, method):
    changed = TINY.replace(cycle=False, fit_translations=True, pose_vae=False, posterior_learning_rate=0.25)
    written = settings(method, config=changed.replace(synthetic_part="sensed", randomization=0.5))
    write_settings(tmp_path, written)
    as_version_1(tmp_path)
    assert '"cycle": "no"' in run_folder.settings_path(tmp_path).read_text()
    assert read_settings(tmp_path) == written


def test_a_run_of_version_1_ends_with_its_last_round_and_predicts_with_its_own_trunk(tmp_path):
    ends = {}
    for method in ("lsps", "real", "synthetic-only", "crossing-nets"):
        write_settings(tmp_path, settings(method, config=TINY.replace(fit_rounds=2)))
        as_version_1(tmp_path)
        read = read_settings(tmp_path)
        ends[method] = (read.last_stage, read.domain)
    assert ends == {
        "lsps": ("fit2", "real"),
        "real": ("regression", "real"),
        "synthetic-only": ("regression", "synthetic"),
        "crossing-nets": ("posterior", "real"),
    }


def test_a_loaded_run_has_the_weights_that_were_saved(tmp_path, networks, weights):
    run = load_run(finished_run(tmp_path / "run", weights))
    saved, loaded = (n.trainable_variables for n in (networks, run.networks))
    assert len(saved) == len(loaded) > 20
    for one, other in zip(saved, loaded):
        np.testing.assert_array_equal(one, other)
    assert run.skeleton.name == "nyu" and run.config == settings().config
    shared = run.networks.discriminators
    assert shared["real"].shared is shared["synthetic"].shared


def test_a_prefix_loads_those_networks_alone(networks, weights):
    other = build_networks(TINY.network, TINY.data.image_size, seed=2)
    before = [variable.numpy() for variable in other.mapping.variables]
    run_folder.load_weights(other, weights, prefix="pose_")
    for one, two in zip(networks.pose_decoder.variables, other.pose_decoder.variables):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(before, other.mapping.variables):
        np.testing.assert_array_equal(one, two)


def test_weights_without_a_network_leave_it_as_it_is(networks, weights):
    other = build_networks(TINY.replace(mapping="code").network, TINY.data.image_size, seed=2)
    before = [variable.numpy() for variable in other.mapping.variables]
    run_folder.load_weights(other, weights, without="mapping/")
    for one, two in zip(networks.generators["real"].variables, other.generators["real"].variables):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(before, other.mapping.variables):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(InputError, match="damaged or of other networks|has shape"):
        run_folder.load_weights(other, weights)


def test_a_p_that_votes_takes_over_the_convolutions_of_one_that_does_not(networks, weights):
    config = dataclasses.replace(TINY.network, vote_widths=(6, 5))
    voting = build_networks(config, TINY.data.image_size, seed=2)
    above = voting.names_above_convolutions()
    before = {name: variable.numpy() for name, variable in voting.named_variables().items() if name in above}
    run_folder.load_weights(voting, weights, without=above)
    for domain in ("synthetic", "real"):
        one, two = networks.discriminators[domain], voting.discriminators[domain]
        pairs = list(zip(one.private.variables, two.private.variables))
        pairs += zip(one.shared.variables, (variable for level in two.shared.down for variable in level.variables))
        assert len(pairs) >= 6
        for expected, variable in pairs:
            np.testing.assert_array_equal(variable, expected)
    np.testing.assert_array_equal(voting.pose_decoder.variables[0], networks.pose_decoder.variables[0])
    after = voting.named_variables()
    assert len(before) > 6 and all(np.array_equal(after[name], value) for name, value in before.items())
    with pytest.raises(InputError, match="damaged or of other networks|has shape"):
        run_folder.load_weights(voting, weights)


def test_runs_from_before_m_drew_bones_load_with_their_own_m(tmp_path):
    """Their settings do not name it."""
    config = TINY.replace(mapping=CODE, mapping_widths=(8,), mapping_steps=0, mapping_in_depth=1.0)
    write_settings(tmp_path, settings(config=config))
    path = run_folder.settings_path(tmp_path)
    values = json.loads(path.read_text())
    for group, names in (
        ("network", ("mapping", "mapping_blocks")),
        ("training", ("mapping_steps", "mapping_batch", "mapping_learning_rate")),
        ("weights", ("mapping_in_depth",)),
    ):
        for name in names:
            del values["config"][group][name]
    path.write_text(json.dumps(values))
    old = build_networks(config.network, config.data.image_size, seed=1)
    run_folder.save_weights(old, run_folder.weights_path(tmp_path, "posterior"))
    run = load_run(tmp_path)
    assert type(run.networks.mapping) is Mapping and run.config.training.mapping_steps == 0
    assert run.config.weights.mapping_in_depth == 1.0
    for one, two in zip(old.mapping.variables, run.networks.mapping.variables):
        np.testing.assert_array_equal(one, two)


def test_weights_of_another_preset_are_refused_and_change_nothing(weights):
    larger = build_networks(
        TINY.replace(pose_hidden=31, discriminator_widths=(4, 6, 8, 9)).network, TINY.data.image_size, seed=2
    )
    before = [variable.numpy() for variable in larger.trainable_variables]
    with pytest.raises(InputError, match=r"posterior\.h5: .* has shape .* another preset or skeleton"):
        run_folder.load_weights(larger, weights)
    for one, two in zip(before, larger.trainable_variables):
        np.testing.assert_array_equal(one, two)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(InputError, match=r"empty: this is no run folder \(it has no settings\.json\)"):
        load_run(tmp_path / "empty")


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    write_settings(tmp_path / "run", settings())
    with pytest.raises(InputError, match=r"run: the run is not finished; go on with: .* --resume"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "the settings are damaged"),
        (lambda text: "[]", "the settings are damaged"),
        (lambda text: text.replace('"version": 2', '"version": 9'), "made by version 9 of lsps-run, this program"),
        (lambda text: text.replace('"domain"', '"domains"'), "the settings are damaged ('domain')"),
        (lambda text: text.replace('"cycle": true', '"cycle": "maybe"'), "'cycle' is 'maybe' and neither true nor"),
        (lambda text: text.replace('"pose_latent"', '"pose_latents"'), "unknown setting 'pose_latents'"),
        (lambda text: text.replace('"method"', '"methods"'), "the settings are damaged"),
    ],
)
def test_damaged_settings_are_refused(tmp_path, change, message):
    write_settings(tmp_path, settings())
    path = run_folder.settings_path(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_settings_are_plain_json_with_a_version(tmp_path):
    write_settings(tmp_path, settings())
    values = json.loads(run_folder.settings_path(tmp_path).read_text())
    assert (values["format"], values["version"], values["config"]["preset"]) == ("lsps-run", 2, "tiny")


def test_damaged_weights_are_refused(tmp_path, networks, weights):
    for cut in (0, 100, -100):
        path = tmp_path / "posterior.h5"
        path.write_bytes(weights.read_bytes()[:cut])
        with pytest.raises(InputError, match=r"posterior\.h5: the weights are damaged"):
            run_folder.load_weights(networks, path)
    with pytest.raises(InputError, match=r"none\.h5: there are no such weights"):
        run_folder.load_weights(networks, tmp_path / "none.h5")
