"""`python -m benchmarks pooled`: alerts by chance on many towns at once, one bound for all of them, with intervals."""

import json
import sys
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.scenes.towns import draw_town
from benchmarks.validation.alerting import of_plain_rule, of_ratio
from benchmarks.validation.pairs import Pairs, pairs_of, together
from matcher.profile import STANDARD

WEARERS = 40
SHARES = (0.90, 0.95, 0.99)
_DRAWS = 400
# The interval holds the middle 95 of 100 draws.
_BETWEEN = (0.025, 0.975)


def pooled(
    seed: Annotated[int, typer.Option(help="Of the first town; each other has the next.")] = 1,
    towns: Annotated[int, typer.Option(help="How many.", min=2)] = 10,
    scenes: Annotated[int, typer.Option(help="Planted offences in each.", min=20)] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Count whom the best plain rule alerts by chance and whom ours does, where both alert the same share of offences.

    In one town of 200 offences ten decide, and the counts differ tenfold from town to town. `one_bound` sets both rules
    once for all towns, as a service is set; `own_bounds` for each town by itself. About 15 s a town.
    """
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("offences", total=towns * scenes)
        worlds = [
            pairs_of(
                draw_town(seed + number, min(WEARERS, scenes), scenes), STANDARD, lambda n: progress.advance(task, n)
            )
            for number in range(towns)
        ]
    result = {
        "seed": seed,
        "towns": towns,
        "scenes": scenes,
        **{f"at_{share:.0%}": of_worlds(worlds, share) for share in SHARES},
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    for share in SHARES:
        typer.echo(f"{share:.0%}: {result[f'at_{share:.0%}']}")


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
