"""`python -m benchmarks degrade`: how each rule degrades with thinner fixes, worse accuracies, longer gaps."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.scenes.parameters import Parameters, Tag
from benchmarks.scenes.towns import draw_town
from benchmarks.validation.pairs import Pairs, pairs_of
from matcher.profile import STANDARD

FIGURE = Path("docs/evidence.svg")
_WEARERS = 20
_TAG = Tag()
_RULES = {"standard": "standard", "moj_compatible": "moj-compatible", "radius_100m": "radius-100m"}


@dataclass(frozen=True, slots=True)
class Worse:
    """One way in which tags can be worse than those of the scenes."""

    title: str
    unit: str
    values: tuple[float, ...]

    def tag(self, value: float) -> Tag:
        """Give the tag with this value, else as in the scenes."""
        if self.unit == "seconds":
            return replace(_TAG, every_s=value)
        if self.unit == "times as wide":
            indoors_m, outdoors_m = _TAG.indoors_r95_m * value, _TAG.outdoors_r95_m * value
            return replace(_TAG, indoors_r95_m=indoors_m, outdoors_r95_m=outdoors_m)
        return replace(_TAG, gap_median_s=value * 60, gaps_a_day=12.0)


WAYS = (
    Worse("Fixes further apart", "seconds", (30.0, 60.0, 120.0, 180.0, 300.0)),
    Worse("Worse accuracies, and stated", "times as wide", (1.0, 2.0, 4.0, 8.0)),
    Worse("12 gaps a day, longer", "minutes each", (2.0, 8.0, 20.0, 40.0)),
)


def degrade(
    seed: Annotated[int, typer.Option(help="Draws the town and its offences, the same for every tag.")] = 1,
    scenes: Annotated[int, typer.Option(help="Planted offences.", min=20)] = 120,
    figure: Annotated[Path, typer.Option(help="Where the figure goes.")] = FIGURE,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is drawn as one JSON object.")] = False,
) -> None:
    """Draw one town again and again with worse and worse tags, ask all three rules, and write the figure as SVG."""
    found = dict[str, list[dict[str, Any]]]()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tags", total=sum(len(way.values) for way in WAYS))
        for way in WAYS:
            found[way.title] = []
            for value in way.values:
                world = draw_town(seed, _WEARERS, scenes, Parameters(tag=way.tag(value)))
                pairs = pairs_of(world, STANDARD, lambda _: None)
                found[way.title].append({way.unit: value} | shares(pairs))
                progress.advance(task)
    draw_figure(found, figure)
    if as_json:
        typer.echo(json.dumps({"seed": seed, "scenes": scenes, "found": found}))


def shares(pairs: Pairs) -> dict[str, Any]:
    """Give for each rule the share of all planted offences that it alerts, and the others it alerts for each 100."""
    planted = pairs.is_planted
    return {
        rule: {
            "alerted": round(float(getattr(pairs, rule).is_alerted[planted].mean()), 4),
            "by_chance": round(100 * float(getattr(pairs, rule).is_alerted[~planted].sum()) / int(planted.sum()), 2),
        }
        for rule in _RULES
    }


def draw_figure(found: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """Write six small plots: above what is alerted, below what is alerted by chance; by each way of being worse."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    # The same input gives the same bytes: no date, no random ids; text stays text.
    mpl.rcParams.update({"svg.hashsalt": "trailmatch", "svg.fonttype": "none", "font.size": 8})
    styles = {"standard": ("#1d70b8", "o-"), "moj_compatible": ("#505a5f", "s--"), "radius_100m": ("#d4351c", "^:")}
    drawn, plots = plt.subplots(2, len(WAYS), figsize=(8.0, 4.4), sharey="row", layout="constrained")
    for column, way in enumerate(WAYS):
        rows = found[way.title]
        for rule, name in _RULES.items():
            colour, marks = styles[rule]
            for plot, key, scale in ((plots[0, column], "alerted", 100), (plots[1, column], "by_chance", 1)):
                values = [scale * row[rule][key] for row in rows]
                plot.plot(way.values, values, marks, color=colour, label=name, markersize=4, linewidth=1.2)
                plot.grid(visible=True, color="#e5e5e5")
        plots[0, column].set_title(way.title, fontsize=9)
        plots[1, column].set_xlabel(way.unit)
        for plot in plots[:, column]:
            plot.set_xticks(way.values, [f"{value:g}" for value in way.values])
    most = max(row[rule]["by_chance"] for rows in found.values() for row in rows for rule in _RULES)
    plots[0, 0].set_ylim(0, 103)
    plots[1, 0].set_ylim(0, 1.1 * max(most, 1.0))
    plots[0, 0].set_ylabel("planted offences alerted, %")
    plots[1, 0].set_ylabel("others alerted by chance,\nfor 100 offences")
    plots[0, 0].legend(loc="lower left", frameon=False)
    drawn.savefig(file, format="svg", metadata={"Date": None})
    plt.close(drawn)
