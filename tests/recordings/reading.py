"""How tests of recordings read what must be refused."""

import pytest

from lsps_tf.errors import InputError
from lsps_tf.recordings.opening import open_recording


def refusal(path, topic=None) -> str:
    with pytest.raises(InputError) as error:
        list(open_recording(path, topic))
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text
