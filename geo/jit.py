"""How this project compiles: `@kernel`, the one place with numba's flags."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

if sys.platform != "win32":
    import fcntl

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# The one variable that geo and matcher read. Whoever starts the process sets it (app/kernel_cache.py); without it every
# process compiles for itself, because a cache that is not keyed by the sources runs stale code after an edit.
CACHE_DIR_VARIABLE = "NUMBA_CACHE_DIR"

# Without the form that C could call, which nobody does: an eighth of the time to compile.
_jit = functools.partial(numba.njit, nogil=True, no_cfunc_wrapper=True)


def kernel(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function for numbers and arrays, letting other threads run while it does.

    No fastmath: a kernel gives the same answer with NUMBA_DISABLE_JIT=1, where this returns the function itself.
    Serial: work is spread over threads by the caller, because numba's own threads abort or hang under ours.
    """
    return _cached(function, _jit()(function))


def inlined(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same for a small function in a kernel's loop: its instructions stand in the kernel, in place of a call.

    A function that gives several numbers gives them by memory otherwise.
    """
    return _cached(function, _jit(forceinline=True)(function))


def _cached(function: Callable[Arguments, Result], dispatcher: object) -> Callable[Arguments, Result]:
    compiled: Any = dispatcher
    if CACHE_DIR_VARIABLE in os.environ and compiled is not function:
        # Where `cache=True` puts numba's own.
        compiled._cache = _SharedCache(function)  # type: ignore[no-untyped-call]  # noqa: SLF001 - as said
    return cast("Callable[Arguments, Result]", compiled)


class _SharedCache(FunctionCache):
    """numba's cache for several processes: one of them at a time adds to it.

    numba reads the list of a function's compiled forms, puts its own under the next free number and writes the list
    back. Two processes that compile two forms in the same moment take the same number, and from then on one form runs
    the other's machine code.
    """

    def save_overload(self, sig: object, data: object) -> None:
        """Add a compiled form."""
        self._impl.locator.ensure_cache_path()
        with open(os.path.join(self.cache_path, "lock"), "ab") as lock:  # noqa: PTH118, PTH123 - geo knows no paths
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX)
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
