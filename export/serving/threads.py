"""Work that would hold the event loop up, done in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any


async def in_thread(function: Callable, *arguments: Any, pool: Executor | None = None) -> Any:
    """What `function(*arguments)` gives or raises, run in a thread of `pool` or of the loop's own pool.

    Every exception comes back. The loop's own futures take no StopIteration: who waits for such a one waits for ever.
    """

    def outcome() -> tuple[Any, Exception | None]:
        try:
            return function(*arguments), None
        except Exception as error:
            return None, error

    result, error = await asyncio.get_running_loop().run_in_executor(pool, outcome)
    if error is None:
        return result
    try:
        raise error
    finally:
        # The error's traceback holds this frame, and a frame that holds the error would keep both alive.
        del error
