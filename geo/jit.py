"""How this project compiles: `@kernel`, the one place with numba's flags."""

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.types import Array as ArrayType
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Array = TypeVar("Array")

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


def _uncounted(_: BaseContext, array: ArrayType) -> tuple[Signature, Callable[..., object]]:
    def generate(context: BaseContext, builder: object, signature: Signature, values: list[object]) -> object:
        fields = context.make_array(signature.return_type)(context, builder, values[0])  # type: ignore[no-untyped-call]
        fields.meminfo = cgutils.get_null_value(fields.meminfo.type)  # type: ignore[no-untyped-call]
        fields.parent = cgutils.get_null_value(fields.parent.type)  # type: ignore[no-untyped-call]
        return fields._getvalue()  # noqa: SLF001  # the name that numba's guide for extensions gives

    return array(array), generate


def uncounted(array: Array) -> Array:
    """Give the same array, whose references are not counted; for a kernel, whose caller holds the array anyway.

    A function that is called in a loop may then take arrays: counting, by an atomic step up and down for each, costs
    130 ns a call (docs/decisions/0007-the-scan.md).
    """
    return array


if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # made when numba is imported
    uncounted = intrinsic(_uncounted)  # type: ignore[assignment]
