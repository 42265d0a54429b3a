"""Arrays whose references a kernel does not count."""

from collections.abc import Callable
from typing import TypeVar

import numba
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.types import Array as ArrayType
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Array = TypeVar("Array")


def uncounted(array: Array) -> Array:
    """Give the same array, whose references are not counted; for a kernel, whose caller holds the array anyway.

    A function that is called in a loop may then take arrays: counting, by an atomic step up and down for each, costs
    130 ns a call (docs/decisions/0007-the-scan.md).
    """
    return array


def _uncounted(_: BaseContext, array: ArrayType) -> tuple[Signature, Callable[..., object]]:
    def generate(context: BaseContext, builder: object, signature: Signature, values: list[object]) -> object:
        fields = context.make_array(signature.return_type)(context, builder, values[0])  # type: ignore[no-untyped-call]
        fields.meminfo = cgutils.get_null_value(fields.meminfo.type)  # type: ignore[no-untyped-call]
        fields.parent = cgutils.get_null_value(fields.parent.type)  # type: ignore[no-untyped-call]
        return fields._getvalue()  # noqa: SLF001  # the name that numba's guide for extensions gives

    return array(array), generate


if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # made when numba is imported
    uncounted = intrinsic(_uncounted)  # type: ignore[assignment]
