"""`trailmatch match` as its users run it: files in, exit code, JSON, and files out."""

import csv
import gzip
import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.cli import main

NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)
PINGS = """device_id,ts,lon,lat,speed
T-2,2024-01-31T12:00:00Z,-2.6,51.4505,1
T-1,2024-01-31T12:00:00Z,-2.6,51.45,1
T-1,2024-01-31T13:01:00.5+01:00,-2.6,51.4502,1
T-1,2024-01-31 12:02:00Z,-2.6,51.46,1
"""
INCIDENTS = """incident_ref,ts,lon,lat,offence
A/1,2024-01-31T12:00:00Z,-2.6,51.45,BIAD
A/2,2024-01-31T23:00:00Z,-2.6,51.45,BIAD
"""
COLUMNS = ["incident_ref", "device_id", "n_pings", "min_dist_m", "closest_at", "first_at", "last_at"]
LINE_COLUMNS = ["near_m", "near_at", "enter_at", "leave_at", "inside_s", "visits"]


class Run(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def _match(*args: str | Path) -> Run:
    """Run the command as the program would, but within this one: it takes seconds to start."""
    with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["trailmatch", "match", *map(str, args)])
            with pytest.raises(SystemExit) as exited:
                main()
        if isinstance(exited.value.code, str):  # which Python prints, and ends with 1
            return Run(1, stdout.getvalue(), exited.value.code)
    return Run(int(exited.value.code or 0), stdout.getvalue(), stderr.getvalue())


def _answer(*args: str | Path, exit_code: int = 0) -> dict[str, Any]:
    run = _match(*args, "--json")
    assert run.exit_code == exit_code, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def _said(*args: str | Path, exit_code: int) -> str:
    run = _match(*args)
    assert (run.exit_code, run.stdout) == (exit_code, "")
    return run.stderr


@pytest.fixture
def pings(tmp_path: Path) -> Path:
    return _written(tmp_path / "pings.csv", PINGS)


@pytest.fixture
def incidents(tmp_path: Path) -> Path:
    return _written(tmp_path / "incidents.csv", INCIDENTS)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_pairs_of_two_csv_files_are_written_as_csv(pings: Path, incidents: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.csv"
    answer = _answer(pings, incidents, "--points-only", "--out", out)
    assert answer.pop("seconds") > 0
    assert answer == {"pings": 4, "incidents": 2, "pairs": 2, "pings_inside": 3, "bad_rows": 0, "errors": []}
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["incident_ref"], row["device_id"], row["n_pings"]) for row in rows] == [
        ("A/1", "T-1", "2"),
        ("A/1", "T-2", "1"),
    ]
    assert list(rows[0]) == COLUMNS
    assert (rows[0]["first_at"], rows[0]["last_at"]) == ("2024-01-31T12:00:00.000000Z", "2024-01-31T12:01:00.500000Z")
    assert float(rows[1]["min_dist_m"]) == pytest.approx(55.6, abs=0.1)


def test_with_lines_the_columns_of_lines_follow_and_a_pair_without_ping_has_nulls(tmp_path: Path) -> None:
    pings = _written(
        tmp_path / "p.csv",
        "device_id,fixed_at,lon,lat\n7,2024-01-31T12:00:00Z,-2.604,51.45\n7,2024-01-31T12:01:00Z,-2.596,51.45\n",
    )
    incidents = _written(tmp_path / "i.csv", "incident_ref,ts,lon,lat\nA,2024-01-31T12:00:00Z,-2.6,51.45\n")
    out = tmp_path / "pairs.parquet"
    assert _answer(pings, incidents, "--out", out)["pings_inside"] == 0
    table = pq.read_table(out)
    assert table.column_names == COLUMNS + LINE_COLUMNS
    (row,) = table.to_pylist()
    assert (row["n_pings"], row["min_dist_m"], row["closest_at"], row["first_at"], row["last_at"]) == (0, *[None] * 4)
    assert row["near_m"] == pytest.approx(0, abs=0.5)
    assert row["near_at"] == pytest.approx(NOON + timedelta(seconds=30), abs=timedelta(seconds=0.1))
    assert row["inside_s"] == pytest.approx(21.6, abs=0.1)
    assert row["visits"] == 1


def test_a_window_from_to_is_padded_on_both_sides(pings: Path, tmp_path: Path) -> None:
    incidents = _written(
        tmp_path / "i.csv",
        "incident_ref,ts,from,to,lon,lat\n"
        "before,,2024-01-31T11:00:00Z,2024-01-31T11:59:00Z,-2.6,51.45\n"
        "after,,2024-01-31T12:02:30.5Z,2024-01-31T12:10:00Z,-2.6,51.45\n",
    )
    args = (pings, incidents, "--points-only", "--radius-m", "30")
    assert _answer(*args, "--pad-s", "59")["pings_inside"] == 0
    assert _answer(*args, "--pad-s", "60")["pings_inside"] == 1
    assert _answer(*args, "--pad-s", "90")["pings_inside"] == 2


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.dictionary(pa.int16(), pa.string())])
def test_parquet_columns_may_be_of_any_kind_of_time_and_text(
    unit: str, text: pa.DataType, incidents: Path, tmp_path: Path
) -> None:
    time = pa.array([NOON.replace(tzinfo=None), None], pa.timestamp(unit)).cast(pa.timestamp(unit, "UTC"))
    table = pa.table(
        {
            "device_id": pa.array(["T", "T"]).cast(text),
            "fixed_at": time,
            "lon": pa.array([-2.6, -2.6], pa.float64()),
            "lat": pa.array([51.45, 51.45], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    answer = _answer(tmp_path / "p.parquet", incidents, exit_code=3)
    assert (answer["pings"], answer["pings_inside"], answer["bad_rows"]) == (1, 1, 1)
    assert (answer["errors"][0]["row"], answer["errors"][0]["code"]) == (2, "missing_field")


def test_ids_that_are_numbers_stay_numbers(incidents: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "device_id": [40, 9],
            "ts": pa.array([NOON] * 2, pa.timestamp("us", "UTC")),
            "lon": [-2.6, -2.6],
            "lat": [51.45, 51.45],
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    _answer(tmp_path / "p.parquet", incidents, "--out", tmp_path / "pairs.parquet")
    assert pq.read_table(tmp_path / "pairs.parquet")["device_id"].to_pylist() == [9, 40]


def test_gzip_and_stdin_are_read_and_gzip_is_written(incidents: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.csv.gz"
    program = "from app.cli import main; main()"
    command = [sys.executable, "-c", program, "match", "-", str(incidents), "--json", "--out", str(out)]
    run = subprocess.run(command, input=gzip.compress(PINGS.encode()), capture_output=True, check=True)
    assert json.loads(run.stdout)["pairs"] == 2
    with gzip.open(out, "rt", encoding="utf-8") as file:
        assert len(file.readlines()) == 3


def test_a_bad_row_is_counted_and_listed_and_the_others_are_joined(incidents: Path, tmp_path: Path) -> None:
    rows = [
        "T,2024-01-31T12:00:00Z,-2.6,51.45",  # good
        "T,2024-01-31T12:00:00,-2.6,51.45",
        "T,2024-13-31T12:00:00Z,-2.6,51.45",
        "T,yesterday,-2.6,51.45",
        "T,,-2.6,51.45",
        ",2024-01-31T12:00:00Z,-2.6,51.45",
        "T,2024-01-31T12:00:00Z,-2.6",
        "T,2024-01-31T12:00:00Z,west,51.45",
        "T,2024-01-31T12:00:00Z,,51.45",
        "T,2024-01-31T12:00:00Z,nan,51.45",
        "T,2024-01-31T12:00:00Z,-2.6,90.5",
        "T,2024-01-31T12:00:00Z,0,0.0",
        "T,2024-01-31T12:00:00.1234567Z,-2.6,51.45",  # good
    ]
    pings = _written(tmp_path / "p.csv", "device_id,ts,lon,lat\n" + "\n".join(rows))
    run = _match(pings, incidents, "--json")
    answer = json.loads(run.stdout)
    assert (run.exit_code, answer["pings"], answer["pings_inside"], answer["bad_rows"]) == (3, 2, 2, 11)
    assert {error["row"]: error["code"] for error in answer["errors"]} == {
        2: "time_without_zone",
        3: "wrong_type",
        4: "wrong_type",
        5: "missing_field",
        6: "missing_field",
        7: "wrong_type",
        8: "wrong_type",
        9: "missing_field",
        10: "out_of_range",
        11: "out_of_range",
        12: "null_island",
    }
    assert f"{pings}, row 11: lat is not from -90 to 90: 90.5" in run.stderr


def test_an_incident_that_cannot_be_joined_is_left_out(pings: Path, tmp_path: Path) -> None:
    incidents = _written(
        tmp_path / "i.csv",
        "incident_ref,from,to,lon,lat\n"
        "A,2024-01-31T12:00:00Z,2024-01-31T11:00:00Z,-2.6,51.45\n"
        "B,2024-01-31T12:00:00Z,2024-01-31T12:00:00Z,-2.6,86\n"
        "C,2024-01-31T12:00:00Z,2024-01-31T12:00:00Z,-2.6,51.45\n",
    )
    answer = _answer(pings, incidents, exit_code=3)
    assert (answer["incidents"], answer["pairs"]) == (1, 2)
    assert [(error["row"], error["column"]) for error in answer["errors"]] == [(2, "lat"), (1, "to")]


def test_a_missing_column_is_named_with_those_that_are_there(incidents: Path, tmp_path: Path) -> None:
    pings = _written(tmp_path / "p.csv", "tag,when,lon,lat\n1,2,3,4\n")
    assert "has no column `device_id`; its columns: tag, when, lon, lat" in _said(pings, incidents, exit_code=1)
    pings = _written(tmp_path / "p.csv", "device_id,when,lon,lat\n1,2,3,4\n")
    assert "has no column `fixed_at` or `ts`" in _said(pings, incidents, exit_code=1)
    pings = _written(tmp_path / "p.csv", PINGS)
    assert "has no column `incident_ref`" in _said(pings, pings, exit_code=1)


def test_a_file_that_cannot_be_read_is_named(pings: Path, incidents: Path, tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.csv'} cannot be read" in _said(tmp_path / "none.csv", incidents, exit_code=1)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    assert "torn.parquet cannot be read" in _said(tmp_path / "torn.parquet", incidents, exit_code=1)
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(PINGS.encode())[:-20])
    assert "torn.csv.gz cannot be read" in _said(tmp_path / "torn.csv.gz", incidents, exit_code=1)
    assert "its columns: none" in _said(_written(tmp_path / "empty.csv", ""), incidents, exit_code=1)
    assert "2 columns `lon`" in _said(_written(tmp_path / "p.csv", "lon,lon\n1,2\n"), incidents, exit_code=1)
    assert "cannot be read" in _said(pings, tmp_path, exit_code=1)


def test_times_without_zone_in_a_whole_column_are_refused(incidents: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "device_id": ["T"],
            "ts": pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")),
            "lon": [1.0],
            "lat": [1.0],
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    assert "the times in column ts have no zone" in _said(tmp_path / "p.parquet", incidents, exit_code=1)


@pytest.mark.parametrize(
    "args",
    [
        ("--radius-m", "-1"),
        ("--pad-s", "-1"),
        ("--out", "pairs.xlsx"),
        ("--out", "/nowhere/pairs.csv"),
        ("--threads", "0"),
        ("--max-gap-s", "3600"),
    ],
)
def test_options_out_of_range_are_wrong_usage(args: tuple[str, str], pings: Path, incidents: Path) -> None:
    _said(pings, incidents, *args, exit_code=2)


def test_empty_files_with_a_header_give_no_pairs(tmp_path: Path) -> None:
    pings = _written(tmp_path / "p.csv", "device_id,ts,lon,lat\n")
    incidents = _written(tmp_path / "i.csv", "incident_ref,ts,lon,lat\n")
    answer = _answer(pings, incidents, "--out", tmp_path / "pairs.csv")
    assert (answer["pings"], answer["incidents"], answer["pairs"]) == (0, 0, 0)


def test_help_and_other_commands_start_without_numba_or_pyarrow() -> None:
    program = (
        "import sys, app.cli; print([m for m in ('numba', 'pyarrow', 'numpy', 'rich.progress') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_whole_of_san_francisco_comes_out_as_it_was_reckoned_elsewhere(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.parquet"
    answer = _answer(
        real_data / "sf2008_pings.parquet",
        real_data / "sf2008_incidents.parquet",
        *("--radius-m", "100", "--pad-s", "600", "--points-only", "--out", out),
    )
    assert (answer["pairs"], answer["pings_inside"], answer["bad_rows"]) == (14_834, 23_598, 0)
    expected = pq.read_table(real_data / "sf2008_pairs_100m_600s.parquet").select(COLUMNS)
    by_pair = [("incident_ref", "ascending"), ("device_id", "ascending")]
    ours, theirs = pq.read_table(out).sort_by(by_pair), expected.sort_by(by_pair)
    for name in COLUMNS:
        if name == "min_dist_m":
            np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=0, atol=0.01)
        else:
            assert ours[name].to_pylist() == theirs[name].to_pylist()


def test_a_day_of_san_francisco_from_csv_has_the_pairs_reckoned_elsewhere(real_data: Path, tmp_path: Path) -> None:
    day = "20080530.csv.gz"
    out = tmp_path / "pairs.csv"
    _answer(
        real_data / f"sf2008_fixture_pings_{day}",
        real_data / f"sf2008_fixture_incidents_{day}",
        *("--points-only", "--out", out),
    )
    with gzip.open(real_data / f"sf2008_fixture_reference_pairs_{day}", "rt", encoding="utf-8") as file:
        expected = {(row["incident_ref"], row["device_id"], row["n_pings"]) for row in csv.DictReader(file)}
    with out.open(encoding="utf-8", newline="") as file:
        pairs = {(row["incident_ref"], row["device_id"], row["n_pings"]) for row in csv.DictReader(file)}
    assert pairs == expected
    assert len(pairs) == 56
