"""Arithmetic on the rows of a request: off the event loop if there is much of it."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Some 2,000 pings as JSON, 2 ms of work: below it the way to a thread and back costs more than others would wait.
_LARGE_BYTES = 256 * 1024


async def compute(
    size_bytes: int, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Call a function that works on so many bytes, in a thread if that would hold up other requests."""
    if size_bytes < _LARGE_BYTES:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)
