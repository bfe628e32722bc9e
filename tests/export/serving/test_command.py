"""How the server's command listens."""

import socket

from export.serving.command import listening
from export.serving.settings import Settings


def test_no_answer_waits_for_an_acknowledgement(tmp_path):
    with (
        listening(Settings(model_dir=tmp_path, host="127.0.0.1", port=0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
