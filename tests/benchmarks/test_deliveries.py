"""Bodies that benchmarks send: in every form the same pings."""

import numpy as np

from app.pings.body import Body
from app.pings.checks import time_bounds
from app.pings.delivery import Limits, read_delivery
from benchmarks.deliveries import Delivery, as_arrow, as_json, serial
from benchmarks.minute_fixes import minute_fixes

DAY = 20_000
LIMITS = Limits(1 << 30, 1_000_000)


def test_json_and_arrow_hold_the_same_pings_of_the_same_tags() -> None:
    rows = minute_fixes(20, DAY, np.random.default_rng(5))[:300]
    from_json, from_arrow = (read(form(rows)) for form in (as_json, as_arrow))
    assert from_json == from_arrow
    assert len(from_json) == rows.size
    serials = {serial(int(device)) for device in rows["device_id"]}
    assert {name for name, _ in from_json} == serials
    lon_e7 = {values[0] for _, values in from_json}
    assert lon_e7 == set(rows["lon_e7"].tolist())


def read(delivery: Delivery) -> list[tuple[str, list[int]]]:
    body = Body(delivery.content, "identity", delivery.media_type)
    taken = read_delivery(body, LIMITS, time_bounds((DAY + 2) * 86_400_000_000, None))
    assert not taken.rejects
    assert taken.ignored == {}
    return [
        (taken.serials[int(ping["device_id"])], [int(ping[name]) for name in ("lon_e7", "lat_e7", "speed_cmps")])
        for ping in taken.pings
    ]
