"""The figure of how rules degrade: the same input gives the same bytes, with nothing to fetch from elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.degrade import WAYS, draw_figure


def test_a_figure_is_drawn_the_same_again_and_names_every_rule(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is of the extra `bench`")
    said = {"alerted": 0.9, "by_chance": 3.0}
    rules: dict[str, Any] = {"standard": said, "moj_compatible": said, "radius_100m": said}
    found = {way.title: [{way.unit: value} | rules for value in way.values] for way in WAYS}
    draw_figure(found, tmp_path / "one.svg")
    draw_figure(found, tmp_path / "other.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "other.svg").read_text()
    assert all(name in drawn for name in ("moj-compatible", "radius-100m", *(way.title for way in WAYS)))
    assert "<image" not in drawn


def test_each_way_of_being_worse_changes_the_tag_and_that_alone() -> None:
    thin, wide, gaps = (way.tag(way.values[-1]) for way in WAYS)
    assert (thin.every_s, thin.outdoors_r95_m, thin.gaps_a_day) == (300.0, 9.0, 2.0)
    assert (wide.every_s, wide.outdoors_r95_m, wide.indoors_r95_m) == (60.0, 72.0, 192.0)
    assert (gaps.every_s, gaps.gaps_a_day, gaps.gap_median_s) == (60.0, 12.0, 2_400.0)
