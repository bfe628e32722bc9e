"""What the tests of recordings are written with, which is not installed everywhere."""

import pytest


@pytest.fixture
def rosbags():
    return pytest.importorskip("rosbags", reason="rosbags is not installed (pip install lsps-tf[recordings])")


@pytest.fixture
def mcap(rosbags):
    return pytest.importorskip("mcap", reason="mcap, an independent writer, is not installed")


@pytest.fixture
def av():
    return pytest.importorskip("av", reason="PyAV is not installed (pip install lsps-tf[recordings])")
