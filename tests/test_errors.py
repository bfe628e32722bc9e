"""The line of a user's mistake stays one line, whatever it quotes."""

import pytest

from lsps_tf.errors import InputError


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("plain", "plain"),
        ("Größe 手.png", "Größe 手.png"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x00\x9b", r"\x1b[2J\x00\x9b"),
        ("name\udcff", r"name\udcff"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
    ],
)
def test_what_a_file_holds_cannot_move_the_cursor(quoted, shown):
    assert str(InputError(f"a.csv: '{quoted}' is wrong")) == f"a.csv: '{shown}' is wrong"


def test_the_middle_of_what_is_too_long_is_left_out():
    said = str(InputError(f"a.csv: '{'[' * 5000}' is wrong; mend it"))
    assert said.startswith("a.csv: '[[[") and said.endswith("[' is wrong; mend it") and len(said) < 2010
