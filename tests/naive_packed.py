"""Chunks by the letter of their format, one number at a time; shares no code with matcher.packed."""

import math
import zlib
from itertools import pairwise
from typing import Literal

Form = Literal["plain", "steps", "whole"]
WIDEST = 56


def naive_pack(device_id: int, hour_us: int, columns: list[list[int]], forms: list[Form]) -> bytes:
    """Pack columns, each in the form named if its values allow that, else as whole numbers."""
    body = number(len(columns[0]))
    for place, (values, form) in enumerate(zip(columns, forms, strict=True)):
        origin = hour_us if place == 0 else 0
        body += _column([value - origin for value in values], form)
    key = (device_id % 2**32).to_bytes(4, "little") + (hour_us % 2**64).to_bytes(8, "little")
    return b"\x01" + zlib.crc32(key + body).to_bytes(4, "little") + body


def naive_unpack(device_id: int, hour_us: int, payload: bytes, columns: int = 8) -> list[list[int]]:
    """Unpack a payload; fails if anything is not as the format says."""
    key = (device_id % 2**32).to_bytes(4, "little") + (hour_us % 2**64).to_bytes(8, "little")
    assert payload[0] == 1
    assert int.from_bytes(payload[1:5], "little") == zlib.crc32(key + payload[5:])
    rest = list(payload[5:])
    n = _take_number(rest)
    unpacked = [_take_column(rest, n) for _ in range(columns)]
    assert rest == []
    return [[value + hour_us for value in unpacked[0]], *unpacked[1:]]


def number(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def signed(value: int) -> bytes:
    """The lowest bit of the first byte is the sign, so the magnitude follows it as in a number shifted by one."""
    return number((-value - 1) * 2 + 1 if value < 0 else value * 2)


def _column(values: list[int], form: Form) -> bytes:
    counted = values if form == "plain" else [b - a for a, b in pairwise(values)]
    base = min(counted, default=0)
    scale = math.gcd(*(value - base for value in counted)) or 1
    bits = [(value - base) // scale for value in counted]
    width = max(bits, default=0).bit_length()
    if form == "whole" or width > WIDEST or not -(2**63) <= base < 2**63:
        return b"\x80" + b"".join((value % 2**64).to_bytes(8, "little") for value in values)
    header = bytes([(0 if form == "plain" else 64) + width]) + signed(base) + (number(scale) if width else b"")
    if form == "steps":
        header += signed(values[0])
    stream = sum(value << (place * width) for place, value in enumerate(bits))
    return header + stream.to_bytes((len(bits) * width + 7) // 8, "little")


def _take_column(rest: list[int], n: int) -> list[int]:
    head = rest.pop(0)
    form, width = head >> 6, head & 63
    if form == 2:
        return [int.from_bytes(_take(rest, 8), "little", signed=True) for _ in range(n)]
    base = _take_signed(rest)
    scale = _take_number(rest) if width else 0
    values = [_take_signed(rest)] if form == 1 else []
    count = n - len(values)
    stream = int.from_bytes(_take(rest, (count * width + 7) // 8), "little")
    for place in range(count):
        value = base + scale * ((stream >> (place * width)) & (2**width - 1))
        values.append(values[-1] + value if form == 1 else value)
    return values


def _take(rest: list[int], size: int) -> bytes:
    assert len(rest) >= size
    taken = bytes(rest[:size])
    del rest[:size]
    return taken


def _take_number(rest: list[int]) -> int:
    value, shift = 0, 0
    while True:
        byte = rest.pop(0)
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def _take_signed(rest: list[int]) -> int:
    value = _take_number(rest)
    return -(value >> 1) - 1 if value & 1 else value >> 1
