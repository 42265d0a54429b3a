"""Whether any of many incidents lies in a box in space and time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matcher.incidents import Incidents
from matcher.nearby import Boxes, hold_any

# Few different values, so that edges meet.
LON, LAT, HALF, TIME = (
    st.sampled_from(values)
    for values in ([-180, -179, -1, 0, 1, 179, 180], [-60, -1, 0, 1, 60], [0, 1, 2, 180], [0, 1, 2, 3])
)
BOX = st.tuples(LON, HALF, LAT, LAT, TIME, TIME)
INCIDENT = st.tuples(LON, LAT, TIME, TIME)


def is_held(box: tuple[int, ...], incident: tuple[int, ...]) -> bool:
    middle, half, south, north, from_us, to_us = box
    lon, lat, start_us, end_us = incident
    meets = any(start_us <= moment <= end_us for moment in range(from_us, to_us + 1))
    turns = (lon - middle, lon - middle + 360, lon - middle - 360)
    return meets and south <= lat <= north and any(abs(turn) <= half for turn in turns)


@given(st.lists(BOX, max_size=5), st.lists(INCIDENT, max_size=5))
def test_a_box_holds_an_incident_if_its_place_and_any_moment_of_its_window_lie_in_it(
    boxes: list[tuple[int, ...]], incidents: list[tuple[int, ...]]
) -> None:
    boxes = [(*box[:2], min(box[2:4]), max(box[2:4]), min(box[4:]), max(box[4:])) for box in boxes]
    incidents = [(*incident[:2], min(incident[2:]), max(incident[2:])) for incident in incidents]
    expected = [any(is_held(box, incident) for incident in incidents) for box in boxes]
    degrees = np.array([box[:4] for box in boxes], np.float64).reshape(-1, 4).T
    times = np.array([box[4:] for box in boxes], np.int64).reshape(-1, 2).T
    places = np.array([incident[:2] for incident in incidents], np.float64).reshape(-1, 2).T
    windows = np.array([incident[2:] for incident in incidents], np.int64).reshape(-1, 2).T
    contiguous = Boxes(*map(np.ascontiguousarray, (*degrees, *times)))
    lon, lat, start_us, end_us = map(np.ascontiguousarray, (*places, *windows))
    assert hold_any(contiguous, Incidents(lon, lat, np.zeros(lon.size), start_us, end_us)).tolist() == expected
