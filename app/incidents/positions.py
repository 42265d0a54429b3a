"""Where incidents happened: WGS84 degrees, from whichever of the two systems their force measured in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.incidents.schemas import PostedIncident
from app.rows import Row, RowError
from geo.bng import lonlat_from_bng


class Position(NamedTuple):
    """A place in degrees, and the grid position it was computed from, if it was."""

    lon: float
    lat: float
    easting: float | None
    northing: float | None


def locate(rows: Sequence[Row[PostedIncident]]) -> tuple[dict[int, Position], list[RowError]]:
    """Give each row's position by its line, and an error for each that lies outside the grid's transformation."""
    positions = {
        row.line: Position(row.record.lon, row.record.lat, None, None)
        for row in rows
        if row.record.lon is not None and row.record.lat is not None
    }
    errors: list[RowError] = []
    on_grid = [row for row in rows if row.line not in positions]
    try:
        positions |= _from_grid(on_grid)
    except ValueError:
        # Together they are fast; one by one they say which it was.
        for row in on_grid:
            try:
                positions |= _from_grid([row])
            except ValueError:
                errors.append(_outside(row.line))
    return positions, errors


def _from_grid(rows: Sequence[Row[PostedIncident]]) -> dict[int, Position]:
    easting = np.array([row.record.easting for row in rows], dtype=np.float64)
    northing = np.array([row.record.northing for row in rows], dtype=np.float64)
    lon, lat = lonlat_from_bng(easting, northing)
    columns = (column.tolist() for column in (lon, lat, easting, northing))
    return {row.line: Position(*numbers) for row, *numbers in zip(rows, *columns, strict=True)}


def _outside(line: int) -> RowError:
    return RowError(
        line=line,
        pointer="/easting",
        code="out_of_range",
        message="the grid position lies outside Great Britain, where OSTN15 does not reach",
        required_action="Check easting and northing, or send lon and lat.",
    )
