"""How this project compiles: `@kernel`, the one place with numba's flags."""

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# The one variable that geo and matcher read. Whoever starts the process sets it (app/kernel_cache.py); without it every
# process compiles for itself, because a cache that is not keyed by the sources runs stale code after an edit.
CACHE_DIR_VARIABLE = "NUMBA_CACHE_DIR"


def kernel(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function for numbers and arrays, letting other threads run while it does.

    No fastmath: a kernel gives the same answer with NUMBA_DISABLE_JIT=1, where this returns the function itself.
    Serial: work is spread over threads by the caller, because numba's own threads abort or hang under ours.
    """
    compiled = numba.njit(nogil=True, cache=CACHE_DIR_VARIABLE in os.environ)(function)
    return cast("Callable[Arguments, Result]", compiled)
