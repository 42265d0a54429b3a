"""`python -m benchmarks pooled`: alerts by chance on many worlds at once, one bound for all of them, with intervals."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from app.failure import Failure
from benchmarks.evidence import SHORT_STAY_S, WEARERS
from benchmarks.scenes.san_francisco import draw_san_francisco
from benchmarks.scenes.towns import draw_town
from benchmarks.scenes.world import World
from benchmarks.validation.alerting import of_plain_rule, of_ratio
from benchmarks.validation.pairs import Pairs, pairs_of, together
from matcher.profile import STANDARD, Profile

SHARES = (0.90, 0.95, 0.99)
_DRAWS = 400
# The interval holds the middle 95 of 100 draws.
_BETWEEN = (0.025, 0.975)


def pooled(
    seed: Annotated[int, typer.Option(help="Of the first world; each other has the next.")] = 1,
    worlds: Annotated[int, typer.Option(help="How many.", min=2)] = 10,
    scenes: Annotated[int, typer.Option(help="Planted offences in each town; half as many taxis.", min=20)] = 200,
    stays: Annotated[
        float, typer.Option(help="How long the profile takes offences to last, times what it says.", min=0.1, max=10)
    ] = 1.0,
    *,
    san_francisco: Annotated[bool, typer.Option("--san-francisco", help="Taxis instead of towns.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Count whom the best plain rule alerts by chance and whom ours does, where both alert the same share of offences.

    In one town of 200 offences ten decide, and the counts differ tenfold from town to town. `one_bound` sets both rules
    once for all worlds, as a service is set; `own_bounds` for each world by itself. About 15 s a world.

    San Francisco needs TRAILMATCH_DATA.
    """
    profile = _with_stays(STANDARD, stays)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("worlds", total=worlds)
        found = list[Pairs]()
        for number in range(worlds):
            world = _draw(seed + number, scenes, san_francisco=san_francisco)
            found.append(pairs_of(world, profile, lambda _: None))
            progress.advance(task)
    short = [_of_stays(world, under=True) for world in found]
    long = [_of_stays(world, under=False) for world in found]
    result = {
        "seed": seed,
        "worlds": worlds,
        "of": "san_francisco" if san_francisco else "towns",
        "scenes": scenes,
        "stays": stays,
        **{
            f"at_{share:.0%}": {
                **of_worlds(found, share),
                "under_2_min": of_worlds(short, share),
                "over_2_min": of_worlds(long, share),
            }
            for share in SHARES
        },
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    for share in SHARES:
        typer.echo(f"{share:.0%}: {result[f'at_{share:.0%}']}")


def _draw(seed: int, scenes: int, *, san_francisco: bool) -> World:
    if not san_francisco:
        return draw_town(seed, min(WEARERS, scenes), scenes)
    data = os.environ.get("TRAILMATCH_DATA")
    if not data:
        raise Failure("TRAILMATCH_DATA is not set; it names the directory that holds the trails of San Francisco")
    return draw_san_francisco(Path(data), seed, scenes // 2)


def _with_stays(profile: Profile, times: float) -> Profile:
    circles = {offence: replace(circle, stay_s=times * circle.stay_s) for offence, circle in profile.circles.items()}
    return replace(profile, circles=circles)


def _of_stays(pairs: Pairs, *, under: bool) -> Pairs:
    """Give the crimes with stays under two minutes or over, with everybody who came near them."""
    return pairs.only((pairs.stay_s < SHORT_STAY_S) == under)


def of_worlds(worlds: list[Pairs], share: float) -> dict[str, Any]:
    """Give the chance alerts of both rules and their ratio, with the interval of a bootstrap over worlds.

    (B. Efron, Annals of Statistics 7, 1979.) Of pairs that have a ratio. Where we alert nobody the ratio takes one.
    """
    with_ratio = [world.only(world.has_ratio) for world in worlds]
    plain, ours = _alerts(with_ratio, share)
    own = [_alerts([world], share) for world in with_ratio]
    draw = np.random.default_rng(0)
    drawn = [draw.integers(0, len(worlds), len(worlds)).tolist() for _ in range(_DRAWS)]
    ratios = [_over(*_alerts([with_ratio[row] for row in rows], share)) for rows in drawn]
    own_ratios = [_over(*np.sum([own[row] for row in rows], axis=0)) for rows in drawn]
    return {
        "planted": sum(int((world.is_planted & world.is_covered).sum()) for world in with_ratio),
        "one_bound": {"plain": plain, "ours": ours, "ratio": _over(plain, ours), "interval": _interval(ratios)},
        "own_bounds": {
            "plain": sum(one for one, _ in own),
            "ours": sum(one for _, one in own),
            "ratio": _over(*np.sum(own, axis=0)),
            "interval": _interval(own_ratios),
        },
    }


def _alerts(worlds: list[Pairs], share: float) -> tuple[int, int]:
    pairs = together(worlds)
    planted = pairs.is_planted & pairs.is_covered
    return of_plain_rule(pairs, planted, share).chance_alerts, of_ratio(pairs, planted, share).chance_alerts


def _over(plain: int, ours: int) -> float:
    return round(float(plain) / max(float(ours), 1.0), 2)


def _interval(ratios: list[float]) -> list[float]:
    return [round(edge, 1) for edge in np.quantile(ratios, _BETWEEN).tolist()]
