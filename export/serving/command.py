"""The command `export/serve.py`: models served over HTTP until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import errno
import pathlib
import signal
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from export.serving.settings import MIB, Settings
from lsps_tf.commandline.parser import Parser
from lsps_tf.errors import InputError
from lsps_tf.model_manifest import parse_hash

# Help and mistakes come before TensorFlow is imported, so what needs it stands in the functions.
if TYPE_CHECKING:
    import uvicorn

    from export.explorer.pages import Explorer
    from export.serving.app import Application
    from export.serving.metrics import Metrics
    from export.serving.versions import Model

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve_command(arguments: list[str]) -> int:
    """Runs `export/serve.py` with its arguments until SIGTERM or Ctrl-C, and gives the exit status."""
    settings = _settings(arguments)

    def leave_signals_to_uvicorn(*_: object) -> None:
        # It stops cleanly on either signal and then raises it once more, for whoever else waits for it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    asyncio.run(serve(settings, lambda line: print(line, flush=True), leave_signals_to_uvicorn))
    return 0


async def serve(
    settings: Settings,
    say: Callable[[str], None],
    started: Callable[[uvicorn.Server, int], None] = lambda server, port: None,
) -> None:
    """Loads the models, serves them, and returns when the server was told to stop and all it took is answered.

    Args:
        settings: address, limits and batching.
        say: takes a line per change.
        started: called with the server (set `should_exit` to stop it) and its port when it is about to listen.

    Raises:
        InputError: where there is no model, a version cannot be loaded, or the address cannot be used.
    """
    import uvicorn

    from export.explorer.pages import Explorer, first_to_explore
    from export.serving.app import Application
    from export.serving.batching import Batcher
    from export.serving.metrics import Metrics
    from export.serving.versions import Model, find_models

    metrics = Metrics()
    models = {name: Model(name, path, settings, metrics) for name, path in find_models(settings).items()}
    with listening(settings) as listener:
        for model in models.values():
            await model.start()
        batcher = Batcher(settings, metrics)
        watcher = asyncio.ensure_future(_watch(models, settings, say))
        application = Application(models, batcher, settings, metrics)
        if settings.explore:
            application = Explorer(application, lambda: first_to_explore(models.values()))
        server = uvicorn.Server(_config(application, settings, metrics))
        port = listener.getsockname()[1]
        _say_addresses(models, settings, port, say)
        started(server, port)
        try:
            await server.serve([listener])
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            await batcher.close()
    say("Stopped; every request that was taken is answered.")


def _config(application: Application | Explorer, settings: Settings, metrics: Metrics) -> uvicorn.Config:
    import uvicorn

    from export.serving.connection import connection_class

    return uvicorn.Config(
        application,
        http=connection_class(settings, metrics),
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="asyncio",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        # A request that was taken has its time limits; nothing takes longer than both together.
        timeout_graceful_shutdown=int(settings.timeout_s + settings.receive_s) + 1,
    )


async def _watch(models: dict[str, Model], settings: Settings, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(settings.poll_s)
        for model in models.values():
            try:
                await model.update(say)
            except Exception as error:
                # The disk may be away for a while; what is loaded is served all the same.
                say(f"{model.name}: {model.path} cannot be watched: {error}")


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that listens where the settings say; InputError where it cannot."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        advice = "another program listens there; give another --port" if taken else f"cannot be used ({error})"
        raise InputError(f"--host {settings.host} --port {settings.port}: {advice}") from error
    # Connections inherit it. asyncio sets it for sockets that name TCP alone; without it, an answer's body waits 40 ms
    # for the client's acknowledgement of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


def _say_addresses(models: dict[str, Model], settings: Settings, port: int, say: Callable[[str], None]) -> None:
    from export.explorer.pages import ROOT as EXPLORER
    from export.serving.metrics import METRICS_PATH

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    for name, model in models.items():
        url = f"http://{host}:{port}/v1/models/{urllib.parse.quote(name, safe='')}"
        for number in model.versions:
            say(f"{name}: version {number} is served at {url}/versions/{number}")
        say(f"Predict: {url}:predict")
    say(f"Metrics: http://{host}:{port}{METRICS_PATH}")
    if settings.explore:
        say(f"Explore: http://{host}:{port}{EXPLORER}")
    if settings.host not in _LOOPBACK:
        say(f"Anyone who reaches {settings.host} can use this server; it asks for no password.")


# Option, setting, how many of the setting's unit one is, the smallest number, and what it is.
_NUMBERS = (
    ("--port", "port", 1, 0, "port to listen on; 0 takes a free one"),
    ("--keep-versions", "keep_versions", 1, 1, "how many of the highest versions are served"),
    ("--max-batch-size", "max_batch_size", 1, 1, "rows that run together; a request of more runs as several batches"),
    ("--batch-timeout-micros", "batch_timeout_micros", 1, 0, "how long the first request of a batch waits for others"),
    ("--batch-threads", "batch_threads", 1, 1, "batches that run at the same time"),
    ("--max-queue", "max_queue", 1, 1, "requests that wait for their batch; more get a 429"),
    ("--max-body-mib", "max_body_bytes", MIB, 1, "MiB of a request's body; larger ones get a 413"),
    ("--max-pending-mib", "max_pending_bytes", MIB, 1, "MiB of all bodies that are being received; more get a 429"),
    ("--max-frame-pixels", "max_frame_pixels", 1, 1, "width times height of an encoded frame; larger ones get a 400"),
    ("--max-connections", "max_connections", 1, 1, "connections at the same time; more get a 503"),
    ("--timeout-seconds", "timeout_s", 1, 0.001, "time of a request once its body is there; then a 504"),
    ("--receive-seconds", "receive_s", 1, 0.001, "time for sending a request's head, and its body; then a 408"),
    ("--poll-seconds", "poll_s", 1, 0.01, "time between two looks at the model folders"),
)


def _settings(arguments: list[str]) -> Settings:
    parser = Parser("serve.py", "Serves exported models with TensorFlow Serving's REST contract.")
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    parser.add_argument("--model-dir", type=pathlib.Path, required=True, metavar="DIR", help="what export/run.py wrote")
    parser.add_argument("--name", default="", help="what the model is called (default: its folder's name)")
    parser.add_argument("--host", default=defaults["host"], help="address to listen on (default: %(default)s)")
    for option, name, scale, least, text in _NUMBERS:
        default = defaults[name] // scale if scale > 1 else defaults[name]
        kind = _at_least(type(default), least)
        parser.add_argument(
            option, dest=name, type=kind, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--label", action="append", default=[], metavar="LABEL=VERSION", help="a name for a version; may be repeated"
    )
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="HASH",
        help="refuse versions with another hash, of manifest.json; may be repeated",
    )
    parser.add_argument(
        "--explore",
        action="store_true",
        help="serve a page, too, on which the model's latent space is touched; of a model that "
        "export/run.py --explore wrote",
    )
    parser.add_argument(
        "--cors",
        action="store_true",
        help="let pages of any site read the answers",
    )
    options = vars(parser.parse_args(arguments))
    labels = dict(_label(text) for text in options.pop("label"))
    expected = tuple(parse_hash(text) for text in options.pop("expect"))
    scaled = {name: options[name] * scale for _, name, scale, _, _ in _NUMBERS}
    return Settings(**{**options, **scaled}, labels=labels, expected=expected)


def _at_least(kind: type, least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < 2**53:
            raise argparse.ArgumentTypeError(f"'{text}' is no number of at least {least}")
        return value

    return number


def _label(text: str) -> tuple[str, int]:
    label, _, version = text.rpartition("=")
    if not (label and version.isascii() and version.isdigit()):
        raise InputError(f"--label: '{text}' is not LABEL=VERSION, such as stable=1")
    return label, int(version)
