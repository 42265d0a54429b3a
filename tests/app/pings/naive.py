"""One ping at a time, by the letter of the rules, sharing no code with the service."""

import re
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

SOURCES = {"unknown": 0, "gps": 1, "rf": 4, "lbs": 5, "wifi": 6}
UNITS = {"lon": 1e7, "lat": 1e7, "accuracy_m": 100.0, "speed_mps": 100.0, "direction_deg": 100.0}
HIGHEST = {"lon": 180.0, "lat": 90.0, "accuracy_m": 21474836.47, "speed_mps": 21474836.47, "direction_deg": 360.0}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)

Fix = tuple[str, int, int, int, int, int, int, int]


def check_ping(row: object, oldest_us: int, newest_us: int) -> Fix | set[tuple[str, str]]:
    """The stored fix, or (pointer, code) of all that is wrong."""
    if not isinstance(row, dict):
        return {("", "wrong_type")}
    wrong: set[tuple[str, str]] = set()
    serial = row.get("device_id")
    if serial is None:
        wrong.add(("/device_id", "missing_field"))
    elif not isinstance(serial, str):
        wrong.add(("/device_id", "wrong_type"))
    elif not 1 <= len(serial) <= 200 or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in serial):
        wrong.add(("/device_id", "out_of_range"))
    at_us = _time(row, oldest_us, newest_us, wrong)
    numbers = [_number(row.get(name), name, wrong) for name in UNITS]
    if numbers[:2] == [0, 0]:
        wrong.add(("", "null_island"))
    source = row.get("source")
    if source is not None and not isinstance(source, str):
        wrong.add(("/source", "wrong_type"))
    elif source is not None and source.lower() not in SOURCES:
        wrong.add(("/source", "unknown_source"))
    if wrong:
        return wrong
    assert isinstance(serial, str)
    assert at_us is not None
    code = SOURCES[(source or "unknown").lower()]
    lon, lat, accuracy, speed, direction = (-1 if number is None else number for number in numbers)
    return (serial, at_us, code, lon, lat, accuracy, speed, direction)


def _time(row: dict[str, Any], oldest_us: int, newest_us: int, wrong: set[tuple[str, str]]) -> int | None:
    written, counted = row.get("fixed_at"), row.get("fixed_at_us")
    times: list[int] = []
    if written is None and counted is None:
        wrong.add(("/fixed_at", "missing_field"))
    if written is not None:
        code = _text_time(written, times) or _time_code(times[-1], oldest_us, newest_us)
        if code:
            wrong.add(("/fixed_at", code))
            times.clear()
    if counted is not None:
        if type(counted) is not int:
            wrong.add(("/fixed_at_us", "wrong_type"))
        elif times and counted != times[0]:
            wrong.add(("/fixed_at_us", "two_times"))
        elif code := _time_code(counted, oldest_us, newest_us):
            wrong.add(("/fixed_at_us", code))
        else:
            times.append(counted)
    return times[0] if times else None


def _text_time(written: object, times: list[int]) -> str | None:
    if not isinstance(written, str) or not (parts := RFC_3339.fullmatch(written)):
        return "wrong_type"
    if parts[2] is None:
        return "time_without_zone"
    # Python's own parser of ISO 8601 cuts off what is finer than a microsecond, too.
    plain = written.upper().replace(" ", "T").replace("Z", "+00:00")
    if int(plain[-5:-3]) > 23 or plain[11:13] == "24":
        return "out_of_range"
    try:
        offset_s = (int(plain[-5:-3]) * 60 + int(plain[-2:])) * (-60 if plain[-6] == "-" else 60)
        if int(plain[-2:]) > 59:
            return "out_of_range"
        at = datetime.fromisoformat(plain[:-6])
    except ValueError:
        return "out_of_range"
    since = at - datetime(1970, 1, 1)  # noqa: DTZ001 - both without zone
    times.append((since.days * 86_400 + since.seconds - offset_s) * 1_000_000 + since.microseconds)
    return None


def _time_code(at_us: int, oldest_us: int, newest_us: int) -> str | None:
    if not 0 <= at_us < 253_402_300_800_000_000:
        return "out_of_range"
    if at_us > newest_us:
        return "in_future"
    return "before_retention" if at_us < oldest_us else None


def _number(value: object, name: str, wrong: set[tuple[str, str]]) -> int | None:
    if value is None:
        if name in {"lon", "lat"}:
            wrong.add((f"/{name}", "missing_field"))
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong.add((f"/{name}", "wrong_type"))
        return None
    if value < 0 and name in {"accuracy_m", "speed_mps"}:
        wrong.add((f"/{name}", "negative"))
        return None
    lowest = -HIGHEST[name] if name in {"lon", "lat"} else 0.0
    if not lowest <= value <= HIGHEST[name]:  # so that NaN is none
        wrong.add((f"/{name}", "out_of_range"))
        return None
    # Half to even, of the product as double precision has it.
    fixed = int(Decimal(float(value) * UNITS[name]).quantize(Decimal(1), ROUND_HALF_EVEN))
    return fixed % 36_000 if name == "direction_deg" else fixed
