"""`trailmatch match --evidence`: what each pair of two files is worth, without a database."""

import csv
import json
from datetime import UTC, datetime, timedelta
from math import cos, radians
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from matcher.profile import STANDARD
from tests.app.matching.test_files import _match

RADIUS_M = STANDARD.circle("BIAD").radius_m
CRIME = datetime(2026, 7, 14, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evidence") / "incidents.csv"
    window = f"{CRIME:%Y-%m-%dT%H:%M:%SZ},{CRIME + timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}"
    path.write_text(f"incident_ref,from,to,lon,lat,offence\nA/1,{window},-1.5,53.0,biad\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T-1 stays for six minutes and is 6 km away on twelve days before; T-2 lives 300 m off; T-3 is far away."""
    path = tmp_path_factory.mktemp("evidence") / "pings.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("device_id,fixed_at,lon,lat,accuracy_m,source\n")
        for day in range(-12, 1):
            for minute in range(-30, 60):
                beside_m = 20 + max(abs(minute - 10) - 3, 0) * 600 if day == 0 else 6000
                file.write(_row("T-1", day, minute, beside_m, "8", "gps"))
        for minute in range(-30, 60):
            file.write(_row("T-2", 0, minute, 300, "", "wifi"))
            file.write(_row("T-3", 0, minute, 9000, "8", ""))
    return path


def _row(device: str, day: int, minute: int, east_m: float, accuracy_m: str, source: str) -> str:
    at = CRIME + timedelta(days=day, minutes=minute)
    lon_deg = -1.5 + east_m / 111_320 / cos(radians(53))
    return f"{device},{at:%Y-%m-%dT%H:%M:%SZ},{lon_deg:.7f},53.0,{accuracy_m},{source}\n"


def _weighed(*args: str | Path, exit_code: int = 0) -> dict[str, Any]:
    run = _match(*args, "--evidence", "--json")
    assert run.exit_code == exit_code, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_each_match_comes_with_verdict_numbers_and_sentences(pings: Path, incidents: Path) -> None:
    answer = _weighed(pings, incidents)
    assert (answer["candidates"], answer["alerted"], answer["profile"]) == (2, 1, "standard")
    (match,) = [one for one in answer["matches"] if one["device_id"] == "T-1"]
    assert (match["incident_ref"], match["is_alerted"]) == ("A/1", True)
    # In July, so by British Summer Time.
    assert match["finding"] == f"7 positions within {RADIUS_M:.0f} m between 02:12 and 02:18, nearest 20 m."
    assert any("12 comparable ones" in said for said in match["in_favour"])
    assert match["evidence"]["verdict"] == "present"
    assert match["evidence"]["offence"] == "BIAD"
    assert match["evidence"]["chance"]["days"] == 12
    assert answer["verdicts"]["present"] == 1


def test_matches_are_written_with_their_evidence(pings: Path, incidents: Path, tmp_path: Path) -> None:
    answer = _weighed(pings, incidents, "--out", tmp_path / "matches.parquet")
    _weighed(pings, incidents, "--out", tmp_path / "matches.csv")
    rows = pq.read_table(tmp_path / "matches.parquet").to_pylist()
    assert [(row["incident_ref"], row["device_id"]) for row in rows] == [
        (one["incident_ref"], one["device_id"]) for one in answer["matches"]
    ]
    assert json.loads(rows[0]["evidence"]) == answer["matches"][0]["evidence"]
    with (tmp_path / "matches.csv").open(encoding="utf-8") as file:
        (first, *_) = csv.DictReader(file)
    assert first["first_at"] == "2026-07-14T01:12:00.000000Z"
    assert first["finding"] == answer["matches"][0]["finding"]


@pytest.mark.parametrize(("profile", "verdict"), [("radius-100m", "present"), ("moj-compatible", "present")])
def test_each_profile_can_be_asked_for(pings: Path, incidents: Path, profile: str, verdict: str) -> None:
    answer = _weighed(pings, incidents, "--profile", profile)
    assert [(one["device_id"], one["evidence"]["verdict"]) for one in answer["matches"]] == [("T-1", verdict)]


def test_without_json_the_findings_are_printed(pings: Path, incidents: Path) -> None:
    run = _match(pings, incidents, "--evidence")
    assert run.exit_code == 0
    assert "1 alerted" in run.stdout
    assert "A/1 T-1: 7 positions within" in run.stdout


@pytest.mark.parametrize("moved", [(), ("--moved", "1")])
def test_positions_that_do_not_say_how_wide_they_are_are_counted_and_what_is_missing_is_said(
    pings: Path, incidents: Path, tmp_path: Path, moved: tuple[str, ...]
) -> None:
    plain = tmp_path / "plain.csv"
    rows = pings.read_text(encoding="utf-8").splitlines()
    plain.write_text("\n".join(row.rsplit(",", 2)[0] for row in rows), encoding="utf-8")
    run = _match(plain, incidents, "--evidence", "--json", *moved)
    answer = json.loads(run.stdout)
    assert answer["pings_of_unknown_width"] == answer["pings"] == len(rows) - 1
    assert "1,350 of 1,350 pings state neither accuracy_m nor source: each is taken to be true to 300 m" in run.stderr
    assert "source (gps, rf, lbs, wifi)" in run.stderr
    by_radius = _match(plain, incidents, "--evidence", "--json", "--profile", "radius-100m", *moved)
    assert "neither" not in by_radius.stderr
    with_both = _match(pings, incidents, "--evidence", "--json", *moved)
    assert json.loads(with_both.stdout)["pings_of_unknown_width"] == 0
    assert "neither" not in with_both.stderr


def test_what_a_cell_says_wrongly_is_told(incidents: Path, tmp_path: Path) -> None:
    path = tmp_path / "pings.csv"
    rows = ["T,2026-07-14T01:05:00Z,-1.5,53.0,-1,gps", "T,2026-07-14T01:06:00Z,-1.5,53.0,5,radar"]
    path.write_text("\n".join(["device_id,fixed_at,lon,lat,accuracy_m,source", *rows]) + "\n", encoding="utf-8")
    answer = _weighed(path, incidents, exit_code=3)
    assert [(error["row"], error["column"], error["code"]) for error in answer["errors"]] == [
        (1, "accuracy_m", "negative"),
        (2, "source", "unknown_source"),
    ]
    assert answer["matches"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--evidence", "--profile", "mine"], "none of"),
        (["--evidence", "--radius-m", "50"], "the profile says it"),
        (["--profile", "standard"], "goes with --evidence"),
        (["--moved", "3"], "goes with --evidence"),
        (["--evidence", "--moved", "3", "--out", "x.csv"], "make no matches to write"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    pings: Path, incidents: Path, options: list[str], said: str
) -> None:
    run = _match(pings, incidents, *options)
    assert run.exit_code == 2
    assert said in run.stderr


def test_a_crime_on_other_days_counts_who_was_there_by_chance(pings: Path, tmp_path: Path) -> None:
    # T-1 was there on the last of thirteen days, which is one of the twelve that a crime on the tenth moves to.
    answer = _weighed(pings, _incident_on(-3, tmp_path), "--moved", "60")
    assert (answer["moved"], answer["incidents"], answer["unmovable"]) == (60, 1, 0)
    assert 1 <= answer["alerts"] <= 15
    assert answer["incidents_a_day"] == 1
    assert answer["alerts_a_day"] == pytest.approx(answer["alerts"] / 60, abs=1e-4)
    again = _weighed(pings, _incident_on(-3, tmp_path), "--moved", "60")
    assert again["alerts"] == answer["alerts"]


def test_a_crime_on_a_day_without_pings_moves_to_each_day_that_has_some(pings: Path, tmp_path: Path) -> None:
    # The day on which T-1 was there is the nearest of the thirteen that have.
    assert 1 <= _weighed(pings, _incident_on(1, tmp_path), "--moved", "60")["alerts"] <= 15


def test_a_crime_that_fits_one_other_day_moves_there(pings: Path, tmp_path: Path) -> None:
    answer = _weighed(pings, _incident_on(0, tmp_path, hours=12 * 24 + 0.5), "--moved", "1")
    assert (answer["moved"], answer["unmovable"]) == (1, 0)


def test_the_day_of_the_crime_itself_is_no_chance(pings: Path, incidents: Path) -> None:
    answer = _weighed(pings, incidents, "--moved", "40")
    assert (answer["alerts"], answer["alerts_a_day"]) == (0, 0)


def test_a_crime_that_fits_no_other_day_is_counted_and_not_moved(pings: Path, tmp_path: Path) -> None:
    answer = _weighed(pings, _incident_on(0, tmp_path, hours=300), "--moved", "2")
    assert (answer["moved"], answer["unmovable"], answer["alerts_a_day"]) == (0, 1, 0)


def test_the_alerts_by_chance_are_said_in_a_sentence(pings: Path, incidents: Path) -> None:
    run = _match(pings, incidents, "--evidence", "--moved", "2")
    assert run.exit_code == 0
    assert "2 times a crime was moved to another day: 0 alerts" in run.stdout


def _incident_on(day: int, directory: Path, hours: float = 1 / 3) -> Path:
    from_at = CRIME + timedelta(days=day)
    path = directory / "moved.csv"
    window = f"{from_at:%Y-%m-%dT%H:%M:%SZ},{from_at + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    path.write_text(f"incident_ref,from,to,lon,lat,offence\nA/1,{window},-1.5,53.0,biad\n", encoding="utf-8")
    return path
