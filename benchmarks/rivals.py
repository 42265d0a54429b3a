"""Other engines asked the join's question: who had how many pings within radius and window of which incident.

Each in the form that somebody who knows it well would write. polars and DuckDB join on one integer for (cell, slot) and
then test exactly; the sizes of cell and slot are those of a few that are fastest here. SciPy's k-d tree holds pings in
place and time; shapely's tree holds the incidents' boxes. All measure by the formula of `geo.wgs84`, so that the
answers can be equal to the ping.
"""

import os
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload
from geo.wgs84 import ECCENTRICITY_SQUARED, SEMI_MAJOR_M
from matcher.index import boxes, incident_grid
from matcher.trails import Trails

Longs = NDArray[np.int64]
Column = TypeVar("Column", NDArray[Any], "pl.Expr")

if TYPE_CHECKING:
    import duckdb
    import polars as pl

# (bits of a cell's side in 1e-7 degrees, bits of a slot in microseconds) that polars and DuckDB may choose from.
_SIZES = ((16, 31), (16, 33), (17, 33), (17, 35), (18, 35))
_HASHED = 1 << 20
_MOST_PINGS_IN_A_TREE = 20_000_000
_PINGS_TO_CHOOSE_BY = 10_000_000


class Counts(NamedTuple):
    """Pairs with a ping inside, sorted by incident and device."""

    incident: Longs
    device: Longs
    n_pings: Longs


class Rival(NamedTuple):
    engine: str
    ask: Callable[..., Counts]  # about everything; prepared tables also about one incident, by its row
    build_ms: float | None  # to prepare what it asks, where that is not part of asking
    note: str


class Skipped(NamedTuple):
    engine: str
    reason: str


def rivals(workload: Workload, threads: int) -> Iterator[Rival | Skipped]:
    """Prepare every engine that is installed and has a chance, one after the other, so that only one takes memory."""
    makers = {"polars": _polars, "duckdb": _duckdb, "scipy": _ckdtree, "shapely": _strtree}
    for module, make in makers.items():
        if module in ("scipy", "shapely") and workload.trails.fixed_at_us.size > _MOST_PINGS_IN_A_TREE:
            yield Skipped(module, "hopeless: a tree of so many pings takes minutes to build or to ask")
        else:
            yield _made(module, make, workload, threads)
    yield Skipped("postgis", "no PostgreSQL with PostGIS here")


def prepared_rivals(workload: Workload, threads: int) -> Iterator[Rival | Skipped]:
    """The same for those that have their pings sorted by cell and slot before they are asked."""
    for module, make in {"polars": _sorted_polars, "duckdb": _sorted_duckdb}.items():
        yield _made(module, make, workload, threads)


def _made(module: str, make: Callable[[Workload, int], Rival], workload: Workload, threads: int) -> Rival | Skipped:
    if find_spec(module) is None:
        return Skipped(module, "not installed: pip install '.[bench]'")
    return make(workload, threads)


def _devices(workload: Workload) -> NDArray[np.int32]:
    return np.repeat(np.arange(workload.trails.device_id.size, dtype=np.int32), np.diff(workload.trails.starts))


def _cells(workload: Workload, cell_bits: int, slot_bits: int) -> tuple[Longs, Longs]:
    """Every (cell, slot) that an incident's box touches, as (row of the incident, key)."""
    grid, incidents = incident_grid(workload.incidents), workload.incidents
    rows, keys = [], []
    for i in range(incidents.lon_deg.size):
        sides = []
        for at_deg, half_e7 in (
            (incidents.lon_deg[i], grid.half_lon_e7[i]),
            (incidents.lat_deg[i], grid.half_lat_e7[i]),
        ):
            edges = (
                int(np.floor(at_deg * 1e7 - half_e7)) >> cell_bits,
                int(np.ceil(at_deg * 1e7 + half_e7)) >> cell_bits,
            )
            sides.append(np.arange(edges[0], edges[1] + 1))
        slots = np.arange(int(incidents.from_us[i]) >> slot_bits, (int(incidents.to_us[i]) >> slot_bits) + 1)
        key = _key(sides[0][:, None, None], sides[1][None, :, None], slots[None, None, :]).ravel()
        rows.append(np.full(key.size, i))
        keys.append(key)
    return np.concatenate(rows), np.concatenate(keys)


def _key(x: Column, y: Column, slot: Column) -> Column:
    """One integer for a cell and slot; the same arithmetic in numpy, polars and SQL."""
    key: Column = (slot * _HASHED + x) * _HASHED + y
    return key


def _fastest(make: Callable[[int, int], Callable[[], Counts]]) -> tuple[Callable[[], Counts], str]:
    """Of the sizes of cell and slot, that which answers soonest."""
    times: dict[tuple[int, int], float] = {}
    for size in _SIZES:
        ask = make(*size)
        started = time.perf_counter()
        ask()
        times[size] = time.perf_counter() - started
    best = min(times, key=lambda size: times[size])
    return make(*best), _note(best)


def _best_size(make: Callable[[Workload, int, int], Callable[[], Counts]], workload: Workload) -> tuple[int, int]:
    """The same for those that take long to prepare, found on a part of the devices."""
    part, times = _with_fewer_pings(workload), {}
    for size in _SIZES:
        ask = make(part, *size)
        ask()
        started = time.perf_counter()
        ask()
        times[size] = time.perf_counter() - started
    return min(times, key=lambda size: times[size])


def _with_fewer_pings(workload: Workload) -> Workload:
    trails = workload.trails
    devices = int(np.searchsorted(trails.starts, _PINGS_TO_CHOOSE_BY, side="right")) - 1
    pings = slice(0, int(trails.starts[devices]))
    columns = (trails.fixed_at_us[pings], trails.lon_e7[pings], trails.lat_e7[pings])
    return workload._replace(trails=Trails(trails.device_id[:devices], trails.starts[: devices + 1], *columns))


def _note(size: tuple[int, int]) -> str:
    return f"cells of 2^{size[0]} e-7 degrees, slots of 2^{size[1]} us"


def _polars(workload: Workload, threads: int) -> Rival:
    pings, incidents = _polars_frames(workload, threads)

    def make(cell_bits: int, slot_bits: int) -> Callable[[], Counts]:
        cells = _polars_cells(workload, incidents, cell_bits, slot_bits)
        lazy = _inside(pings.lazy().with_columns(key=_polars_key(cell_bits, slot_bits)).join(cells.lazy(), on="key"))
        return lambda: _polars_counts(lazy.collect())

    ask, note = _fastest(make)
    return Rival("polars", ask, None, note)


def _sorted_polars(workload: Workload, threads: int) -> Rival:
    """Pings sorted by their key, and a table of where each key begins: joined with the cells, then the pings taken."""
    size = _best_size(lambda part, *size: _ask_sorted_polars(part, threads, *size)[0], workload)
    return Rival("polars", *_ask_sorted_polars(workload, threads, *size), f"sorted by key; {_note(size)}")


def _ask_sorted_polars(
    workload: Workload, threads: int, cell_bits: int, slot_bits: int
) -> tuple[Callable[..., Counts], float]:
    import polars as pl

    unsorted, incidents = _polars_frames(workload, threads)
    cells = _polars_cells(workload, incidents, cell_bits, slot_bits)
    of_incident = cells.partition_by("incident", as_dict=True)
    started = time.perf_counter()
    unsorted = unsorted.with_columns(key=_polars_key(cell_bits, slot_bits))
    pings = unsorted.sort("key")
    del unsorted  # 3 GB of W2
    places = (
        pings.lazy()
        .select("key")
        .with_row_index("start")
        .group_by("key", maintain_order=True)
        .agg(pl.col("start").first().cast(pl.Int64), n=pl.len().cast(pl.Int64))
        .collect()
    )
    build_ms = 1e3 * (time.perf_counter() - started)
    keys, pings = pings["key"], pings.drop("key")

    def ask(incident: int | None = None) -> Counts:
        if incident is None:
            named = cells.join(places, on="key").with_columns(end=pl.col("start") + pl.col("n"))
            rows = named.with_columns(row=pl.int_ranges("start", "end")).explode("row")
            near = pl.concat([rows, pings[rows["row"]]], how="horizontal")
        else:
            few = of_incident[incident,]
            starts, ends = (keys.search_sorted(few["key"], side=side) for side in ("left", "right"))
            slices = [pings[start:end] for start, end in zip(starts, ends, strict=True)]
            near = pl.concat(slices).join(few[:1], how="cross")
        return _polars_counts(_inside(near.lazy()).collect())

    return ask, build_ms


def _polars_frames(workload: Workload, threads: int) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """Pings and incidents."""
    os.environ.setdefault("POLARS_MAX_THREADS", str(threads))
    import polars as pl

    trails = workload.trails
    pings = {"device": _devices(workload), "t": trails.fixed_at_us, "lon": trails.lon_e7, "lat": trails.lat_e7}
    incidents = pl.DataFrame(workload.incidents._asdict()).with_row_index("incident")
    return pl.DataFrame(pings), incidents.with_columns(pl.col("incident").cast(pl.Int64))


def _polars_cells(workload: Workload, incidents: "pl.DataFrame", cell_bits: int, slot_bits: int) -> "pl.DataFrame":
    import polars as pl

    rows, keys = _cells(workload, cell_bits, slot_bits)
    return pl.DataFrame({"incident": rows, "key": keys}).join(incidents, on="incident")


def _polars_key(cell_bits: int, slot_bits: int) -> "pl.Expr":
    import polars as pl

    columns = (pl.col("lon").cast(pl.Int64), pl.col("lat").cast(pl.Int64), pl.col("t"))
    x, y, slot = (c // (1 << bits) for c, bits in zip(columns, (cell_bits, cell_bits, slot_bits), strict=True))
    return _key(x, y, slot)


def _inside(near: "pl.LazyFrame") -> "pl.LazyFrame":
    """Of pings beside incidents those inside, counted by pair."""
    import polars as pl

    north, east = _offsets(pl.col("lon") / 1e7, pl.col("lat") / 1e7, pl.col("lon_deg"), pl.col("lat_deg"))
    return (
        near.filter(pl.col("t").is_between(pl.col("from_us"), pl.col("to_us")))
        .filter(north * north + east * east <= pl.col("radius_m") * pl.col("radius_m"))
        .group_by("incident", "device")
        .len()
    )


def _polars_counts(answer: "pl.DataFrame") -> Counts:
    return _sorted(*(answer[name].to_numpy() for name in ("incident", "device", "len")))


def _offsets(lon: "pl.Expr", lat: "pl.Expr", lon0: "pl.Expr", lat0: "pl.Expr") -> tuple["pl.Expr", "pl.Expr"]:
    """Metres north and east by the radii of curvature at the mean latitude, as expressions."""
    import polars as pl

    radian = float(np.pi / 180)
    middle = (lat0 + lat) * (radian / 2)
    squared = 1 - ECCENTRICITY_SQUARED * middle.sin() * middle.sin()
    across = SEMI_MAJOR_M / squared.sqrt()
    turned = lon - lon0
    turned = pl.when(turned > 180).then(turned - 360).when(turned < -180).then(turned + 360).otherwise(turned)
    along = across * (1 - ECCENTRICITY_SQUARED) / squared
    return along * (lat - lat0) * radian, across * middle.cos() * turned * radian


_DUCKDB_KEY = f"(((t >> $slot) * {_HASHED} + (lon::BIGINT >> $cell)) * {_HASHED} + (lat::BIGINT >> $cell))"

_DUCKDB_JOIN = f"""
WITH near AS (
    SELECT incident, device, radius_m, lon / 1e7 - lon_deg AS turned, lat / 1e7 - lat_deg AS risen,
        radians((lat / 1e7 + lat_deg) / 2) AS middle
    FROM ping JOIN {{cell}} ON {{key}} = cell.key
    WHERE t BETWEEN from_us AND to_us
), curved AS (
    SELECT *, 1 - {ECCENTRICITY_SQUARED!r} * sin(middle) * sin(middle) AS squared,
        radians(turned - 360 * round(turned / 360)) AS east, radians(risen) AS north
    FROM near
)
SELECT incident, device, count(*) AS n
FROM curved
WHERE pow({SEMI_MAJOR_M!r} / sqrt(squared) * cos(middle) * east, 2)
    + pow({SEMI_MAJOR_M!r} / sqrt(squared) * {1 - ECCENTRICITY_SQUARED!r} / squared * north, 2) <= radius_m * radius_m
GROUP BY incident, device
"""


def _duckdb(workload: Workload, threads: int) -> Rival:
    connection = _duckdb_with_pings(workload, threads)

    def make(cell_bits: int, slot_bits: int) -> Callable[[], Counts]:
        _add_cells(connection, workload, cell_bits, slot_bits)
        sql = _DUCKDB_JOIN.format(key=_DUCKDB_KEY, cell="cell")

        def ask() -> Counts:
            found = connection.execute(sql, {"cell": cell_bits, "slot": slot_bits}).fetchnumpy()
            return _sorted(found["incident"], found["device"], found["n"])

        return ask

    ask, note = _fastest(make)
    return Rival("duckdb", ask, None, note)


def _sorted_duckdb(workload: Workload, threads: int) -> Rival:
    """Pings with their key, sorted by it, so that the least and greatest key of each of its row groups tell much."""
    size = _best_size(lambda part, *size: _ask_sorted_duckdb(part, threads, *size)[0], workload)
    return Rival("duckdb", *_ask_sorted_duckdb(workload, threads, *size), f"sorted by key; {_note(size)}")


def _ask_sorted_duckdb(
    workload: Workload, threads: int, cell_bits: int, slot_bits: int
) -> tuple[Callable[..., Counts], float]:
    connection = _duckdb_with_pings(workload, threads)
    _add_cells(connection, workload, cell_bits, slot_bits)
    started = time.perf_counter()
    key = _DUCKDB_KEY.replace("$slot", str(slot_bits)).replace("$cell", str(cell_bits))
    connection.execute("ALTER TABLE ping RENAME TO unsorted")
    connection.execute(f"CREATE TABLE ping AS SELECT *, {key} AS key FROM unsorted ORDER BY key")
    connection.execute("DROP TABLE unsorted")
    build_ms = 1e3 * (time.perf_counter() - started)
    everything = _DUCKDB_JOIN.format(key="ping.key", cell="cell")
    of_one = _DUCKDB_JOIN.format(key="ping.key", cell="(SELECT * FROM cell WHERE incident = $incident) cell")

    def ask(incident: int | None = None) -> Counts:
        if incident is None:
            found = connection.execute(everything).fetchnumpy()
        else:
            found = connection.execute(of_one, {"incident": incident}).fetchnumpy()
        return _sorted(found["incident"], found["device"], found["n"])

    return ask, build_ms


def _duckdb_with_pings(workload: Workload, threads: int) -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    trails = workload.trails
    pings = {"device": _devices(workload), "t": trails.fixed_at_us, "lon": trails.lon_e7, "lat": trails.lat_e7}
    connection.register("pings", pings)
    connection.execute("CREATE TABLE ping AS SELECT * FROM pings")
    connection.unregister("pings")
    return connection


def _add_cells(connection: "duckdb.DuckDBPyConnection", workload: Workload, cell_bits: int, slot_bits: int) -> None:
    rows, keys = _cells(workload, cell_bits, slot_bits)
    columns = {name: column[rows] for name, column in workload.incidents._asdict().items()}
    connection.register("cells", {"incident": rows, "key": keys} | columns)
    connection.execute("CREATE OR REPLACE TABLE cell AS SELECT * FROM cells")
    connection.unregister("cells")


def _ckdtree(workload: Workload, threads: int) -> Rival:
    from scipy.spatial import cKDTree

    trails, incidents = workload.trails, workload.incidents
    # Time is stretched so that a cube about an incident with the middle window holds its circle just as well; a longer
    # window is asked for in several cubes, one after the other.
    half_us = (incidents.to_us - incidents.from_us) / 2
    half_lon_e7, half_lat_e7 = boxes(incidents)
    side_e7 = np.maximum(half_lon_e7, half_lat_e7)
    e7_a_us = float(np.median(side_e7) / np.median(half_us))
    first_us = trails.fixed_at_us.min()
    started = time.perf_counter()
    tree = cKDTree(
        np.column_stack([trails.lon_e7, trails.lat_e7, (trails.fixed_at_us - first_us) * e7_a_us]),
        balanced_tree=False,
    )
    build_ms = 1e3 * (time.perf_counter() - started)
    devices = _devices(workload)
    cubes = np.maximum(np.ceil(half_us * e7_a_us / side_e7), 1).astype(np.int64)
    incident_of = np.repeat(np.arange(cubes.size), cubes)
    number = np.arange(incident_of.size) - np.repeat(np.cumsum(cubes) - cubes, cubes)
    half_cube_us = (half_us / cubes)[incident_of]
    middle_us = incidents.from_us[incident_of] + (2 * number + 1) * half_cube_us
    lon_e7, lat_e7 = incidents.lon_deg[incident_of] * 1e7, incidents.lat_deg[incident_of] * 1e7
    places = np.column_stack([lon_e7, lat_e7, (middle_us - first_us) * e7_a_us])
    reach = np.maximum(side_e7[incident_of], half_cube_us * e7_a_us) + 1

    def ask() -> Counts:
        near = tree.query_ball_point(places, reach, p=np.inf, workers=threads)
        sizes = np.fromiter(map(len, near), dtype=np.int64, count=len(near))
        ping = np.fromiter(chain.from_iterable(near), dtype=np.int64, count=int(sizes.sum()))
        found = np.unique(np.repeat(incident_of, sizes) << 32 | ping)
        return _counted(workload, devices, found >> 32, found & 0xFFFFFFFF)

    return Rival("ckdtree", ask, build_ms, "pings in longitude, latitude and stretched time")


def _strtree(workload: Workload, threads: int) -> Rival:
    import shapely

    trails, incidents = workload.trails, workload.incidents
    grid = incident_grid(incidents)
    lon_e7, lat_e7 = incidents.lon_deg * 1e7, incidents.lat_deg * 1e7
    started = time.perf_counter()
    tree = shapely.STRtree(
        shapely.box(
            lon_e7 - grid.half_lon_e7, lat_e7 - grid.half_lat_e7, lon_e7 + grid.half_lon_e7, lat_e7 + grid.half_lat_e7
        )
    )
    points = shapely.points(trails.lon_e7, trails.lat_e7)
    build_ms = 1e3 * (time.perf_counter() - started)
    devices = _devices(workload)

    def ask() -> Counts:
        ping, incident = tree.query(points)
        return _counted(workload, devices, incident, ping)

    return Rival("strtree", ask, build_ms, f"boxes of incidents, one thread (of {threads})")


def _counted(workload: Workload, devices: NDArray[np.int32], incident: Longs, ping: Longs) -> Counts:
    """Test candidates exactly and count them by pair."""
    trails, incidents = workload.trails, workload.incidents
    time_us = trails.fixed_at_us[ping]
    timely = (time_us >= incidents.from_us[incident]) & (time_us <= incidents.to_us[incident])
    incident, ping = incident[timely], ping[timely]
    lon, lat = trails.lon_e7[ping] / 1e7, trails.lat_e7[ping] / 1e7
    lon0, lat0 = incidents.lon_deg[incident], incidents.lat_deg[incident]
    middle = np.radians((lat0 + lat) / 2)
    squared = 1 - ECCENTRICITY_SQUARED * np.sin(middle) ** 2
    across = SEMI_MAJOR_M / np.sqrt(squared)
    turned = (lon - lon0 + 180) % 360 - 180
    east = across * np.cos(middle) * np.radians(turned)
    north = across * (1 - ECCENTRICITY_SQUARED) / squared * np.radians(lat - lat0)
    inside = east * east + north * north <= incidents.radius_m[incident] ** 2
    pair, n = np.unique(incident[inside] << 32 | devices[ping[inside]], return_counts=True)
    return Counts(pair >> 32, pair & 0xFFFFFFFF, n)


def _sorted(incident: NDArray[Any], device: NDArray[Any], n: NDArray[Any]) -> Counts:
    order = np.lexsort((device, incident))
    return Counts(*(np.asarray(column, dtype=np.int64)[order] for column in (incident, device, n)))
