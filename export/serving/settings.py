"""What the server may be told."""

from __future__ import annotations

import dataclasses
import pathlib

MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Settings:
    """Address, limits and batching of a server.

    Attributes:
        model_dir: a folder of versions, or a folder of such folders.
        name: what the model is called; "" takes the folder's name.
        host: address to listen on.
        port: 0 takes a free one.
        keep_versions: how many of the highest versions are served.
        labels: label to version.
        expected: hashes, of which every version that is loaded has to have one (`lsps_tf.model_manifest`); empty takes
            any.
        poll_s: seconds between two looks at the model folders.
        explore: whether the explorer's page is served, too.
        cors: whether answers carry the headers that let pages of other sites read them.
        max_batch_size: rows that run together; a request of more runs as several batches.
        batch_timeout_micros: how long the first request of a batch waits for others. With 0 a batch is what came while
            the one before it ran.
        batch_threads: batches that run at the same time.
        max_queue: requests that wait for their batch.
        max_body_bytes: of one request.
        max_pending_bytes: of all bodies being received or read.
        max_frame_pixels: width times height of an encoded frame.
        max_connections: open at the same time.
        timeout_s: a request's time once its body is there: reading it, the queue, the model and the answer.
        receive_s: time that a sender has for a request's head, and for its body.
        keep_alive_s: how long an idle connection stays open.
    """

    model_dir: pathlib.Path
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8501
    keep_versions: int = 1
    labels: dict[str, int] = dataclasses.field(default_factory=dict)
    expected: tuple[str, ...] = ()
    poll_s: float = 1.0
    explore: bool = False
    cors: bool = False
    max_batch_size: int = 16
    batch_timeout_micros: int = 0
    batch_threads: int = 1
    max_queue: int = 256
    max_body_bytes: int = 16 * MIB
    max_pending_bytes: int = 256 * MIB
    max_frame_pixels: int = 1280 * 1024
    max_connections: int = 512
    timeout_s: float = 30.0
    receive_s: float = 10.0
    keep_alive_s: int = 75
