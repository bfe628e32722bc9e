"""A thread that reads while what it read before is used."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_AHEAD = 8


def read_ahead(read: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """What `read` makes of the items, in order, by a thread that is a few ahead of whoever uses it."""
    executor, waiting = concurrent.futures.ThreadPoolExecutor(1), collections.deque()
    try:
        for item in items:
            waiting.append(executor.submit(read, item))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
