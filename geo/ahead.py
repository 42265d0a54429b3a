"""Memory fetched before it is needed."""

from collections.abc import Callable
from typing import Any

import numba
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.types import Array as ArrayType
from numba.core.types import Integer, intp, void
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

LINE_BYTES = 64
_BYTE, _INT = ir.IntType(8), ir.IntType(32)


def fetch(array: npt.NDArray[Any], at: int) -> None:
    """Have array[at] fetched into the cache, all the lines of a record, and go on at once; for a kernel.

    It is a hint: nothing waits for it, and what is beyond the array does no harm. So a kernel that knows what it will
    read takes the time in which memory answers once for many reads, and not for each.
    """


def _fetch(_: BaseContext, array: ArrayType, at: Integer) -> tuple[Signature, Callable[..., object]]:
    def generate(context: BaseContext, builder: ir.IRBuilder, signature: Signature, values: list[ir.Value]) -> object:
        fields = context.make_array(array)(context, builder, values[0])  # type: ignore[no-untyped-call]
        index = context.cast(builder, values[1], signature.args[1], intp)  # type: ignore[no-untyped-call]
        place = builder.bitcast(builder.gep(fields.data, [index]), _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT, _INT, _INT])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        record_bytes = context.get_abi_sizeof(context.get_data_type(array.dtype))  # type: ignore[no-untyped-call]
        for byte in range(0, record_bytes, LINE_BYTES):
            # To be read, into the nearest cache, as data and not as instructions.
            builder.call(prefetch, [builder.gep(place, [_INT(byte)]), _INT(0), _INT(3), _INT(1)])
        return context.get_dummy_value()  # type: ignore[no-untyped-call]

    return void(array, at), generate


if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # made when numba is imported
    fetch = intrinsic(_fetch)  # type: ignore[assignment]
