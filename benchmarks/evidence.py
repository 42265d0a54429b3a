"""`python -m benchmarks evidence`: what a match is worth, against scenes of which the truth is known."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.machine import describe_machine
from benchmarks.scenes.parameters import KINDS, Parameters, Tag
from benchmarks.scenes.san_francisco import draw_san_francisco
from benchmarks.scenes.towns import draw_town
from benchmarks.scenes.world import Flags, World
from benchmarks.validation.alerting import chance_ratio, of_plain_100m, of_plain_rule, of_ratio
from benchmarks.validation.by_chance import chance_ratios, misleading
from benchmarks.validation.calibration import Held, Predictions, held_in_town, held_on_phones, held_on_taxis, predict
from benchmarks.validation.cases import comparable_days_us, context_of, incident_of, wearer_of
from benchmarks.validation.exclusion import excluded_far, wrongly_excluded
from benchmarks.validation.metrics import bins_of, cllr, ece, pr_auc, worst_bin
from benchmarks.validation.pairs import Pairs, Said, pairs_of
from matcher.profile import STANDARD, Profile
from matcher.verdict import POSSIBLE, PRESENT
from matcher.weigh import evaluate, weigh

SHORT_STAY_S = 120.0
WEARERS = 40
_PREDICTIONS = 5_000
_CHANCE_SCENES = 4_000
_EXCLUSIONS = 100_000
_FAR_SCENES = 1_000
_CRIMES_FOR_POSSIBLE = 25
# A ratio below this is taken for this in Cllr, where one offence nobody could see would else cost infinity.
_LEAST_RATIO = 1e-3
_FIGURES = 4
_DRAWS = 200
# Of fewer predictions no bin has a hundred.
_LEAST_DRAWN = 1_000


def evidence(
    seed: Annotated[int, typer.Option(help="Draws towns, taxis and all scenes.")] = 1,
    scenes: Annotated[int, typer.Option(help="Planted offences in the town; half as many taxis.", min=20)] = 400,
    exclusions: Annotated[int, typer.Option(help="True presences that reach is tried on.", min=0)] = _EXCLUSIONS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Weigh planted offences and everybody else by three profiles; state chance, calibration and exclusion.

    The defaults took 4 min 31 s on one core, with other work beside it.

    Without TRAILMATCH_DATA the rows of San Francisco and of the phones are left out, and the result says so.
    """
    data = os.environ.get("TRAILMATCH_DATA")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        result = measured(seed, scenes, exclusions, Path(data) if data else None, STANDARD, progress)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _print(result)


def measured(
    seed: int, scenes: int, exclusions: int, directory: Path | None, standard: Profile, progress: Progress
) -> dict[str, Any]:
    """Measure everything; the rules' own figures at the top are those of the town."""
    town = draw_town(seed, min(WEARERS, scenes), scenes)
    worlds = [town]
    if directory is not None:
        worlds.append(draw_san_francisco(directory, seed, scenes // 2))
    by_world = {world.name: _of_world(world, standard, seed, progress) for world in worlds}
    calibrated = _calibrated(town, directory, standard, seed, progress)
    return {
        "machine": describe_machine(),
        "seed": seed,
        "scenes": scenes,
        **by_world["town"],
        "ece": calibrated["town"]["ece"],
        "worst_bin": calibrated["town"]["worst_bin"],
        **_exclusion(standard, seed, exclusions, progress),
        "calibration": calibrated,
        "san_francisco": by_world.get("san_francisco"),
        "left_out": [] if directory else ["san_francisco, taxis and phones: TRAILMATCH_DATA is not set"],
        "profile": standard.settings(),
    }


def _of_world(world: World, standard: Profile, seed: int, progress: Progress) -> dict[str, Any]:
    task = progress.add_task(f"pairs of {world.name}", total=len(world.crimes))
    pairs = pairs_of(world, standard, lambda crimes: progress.advance(task, crimes))
    planted = pairs.is_planted & pairs.is_covered
    wearer_days = _wearer_days(world)
    evaluating = progress.add_task(f"chance evaluations in {world.name}", total=_CHANCE_SCENES)
    by_chance = chance_ratios(world, standard, Parameters(), seed, _CHANCE_SCENES, lambda: progress.advance(evaluating))
    of_planted = np.maximum(pairs.standard.score[planted], _LEAST_RATIO)
    rules = {"standard": pairs.standard, "moj-compatible": pairs.moj_compatible, "radius-100m": pairs.radius_100m}
    possible = _possible_per_incident(world, standard, pairs)
    return {
        **{
            name: _of_rule(pairs, said, planted, wearer_days) | {"possible_per_incident": possible[name]}
            for name, said in rules.items()
        },
        **_ratios(pairs, planted),
        "by_stay": {
            "under_2_min": _ratios(pairs, planted & (pairs.stay_s < SHORT_STAY_S)),
            "over_2_min": _ratios(pairs, planted & (pairs.stay_s >= SHORT_STAY_S)),
        },
        "by_offence": {
            kind.code: _of_offence(planted & (pairs.offence == row), rules) for row, kind in enumerate(KINDS)
        },
        "misleading": misleading(by_chance),
        "chance_evaluations": by_chance.size,
        "cllr": _rounded(cllr(of_planted, np.maximum(by_chance, _LEAST_RATIO))),
        "planted": int(planted.sum()),
        "planted_with_a_ratio": int((planted & pairs.has_ratio).sum()),
        "planted_without_fixes": int((pairs.is_planted & ~pairs.is_covered).sum()),
        "crimes_per_day": _rounded(len(world.crimes) / _crime_days(world)),
        **_speed(world, standard),
    }


def _of_rule(pairs: Pairs, said: Said, planted: Flags, wearer_days: float) -> dict[str, Any]:
    others = ~pairs.is_planted
    return {
        "found": _rounded(float(said.is_found[planted].mean())),
        "alerted": _rounded(float(said.is_alerted[planted].mean())),
        "chance_alerts_per_1000_wearer_days": _rounded(1_000 * float(said.is_alerted[others].sum()) / wearer_days),
        "pr_auc": _rounded(pr_auc(said.score, pairs.is_planted)),
    }


def _ratios(pairs: Pairs, planted: Flags) -> dict[str, Any]:
    """Chance alerts, the best plain rule's over ours, at 95 % and 99 % of the planted offences; what they rest on.

    Of pairs with enough days to compare with: the others have no ratio.
    """
    pairs, planted = pairs.only(pairs.has_ratio), planted[pairs.has_ratio]
    if not planted.any():
        return {"chance_ratio": None, "chance_ratio_99": None}
    plain, ours = of_plain_rule(pairs, planted, 0.95), of_ratio(pairs, planted, 0.95)
    return {
        "chance_ratio": _rounded(chance_ratio(pairs, planted, 0.95)),
        "chance_ratio_99": _rounded(chance_ratio(pairs, planted, 0.99)),
        "at_95": {
            "planted": int(planted.sum()),
            "plain_chance_alerts": plain.chance_alerts,
            "plain_radius_m": _rounded(plain.least),
            "plain_positions": plain.positions,
            "our_chance_alerts": ours.chance_alerts,
            "our_least_ratio": _rounded(ours.least),
            "any_position_within_100m": of_plain_100m(pairs).chance_alerts,
        },
    }


def _of_offence(planted: Flags, rules: dict[str, Said]) -> dict[str, Any]:
    if not planted.any():
        return {"planted": 0}
    shares = {
        name: {
            "found": _rounded(float(said.is_found[planted].mean())),
            "alerted": _rounded(float(said.is_alerted[planted].mean())),
        }
        for name, said in rules.items()
    }
    return {"planted": int(planted.sum()), **shares}


def _possible_per_incident(world: World, standard: Profile, pairs: Pairs) -> dict[str, float | None]:
    """How many others than the offender remain for each incident: not excluded, or with a position that counts."""
    wearers = [wearer_of(reported, standard) for reported in world.reported]
    crimes = world.crimes[:_CRIMES_FOR_POSSIBLE]
    left = 0
    for crime in crimes:
        incident = incident_of(crime)
        for row, wearer in enumerate(wearers):
            if row != crime.offender:
                context = context_of(wearer, incident, standard, np.empty(0, np.int64))
                left += weigh(context, incident, standard).verdict in {PRESENT, POSSIBLE}
    others = ~pairs.is_planted
    return {
        "standard": _rounded(left / len(crimes)),
        "moj-compatible": _rounded(float(pairs.moj_compatible.is_found[others].sum()) / len(world.crimes)),
        "radius-100m": _rounded(float(pairs.radius_100m.is_found[others].sum()) / len(world.crimes)),
    }


def _speed(world: World, standard: Profile) -> dict[str, Any]:
    """Evaluations of offenders with their history in memory, one after the other."""
    wearers = {crime.offender: wearer_of(world.reported[crime.offender], standard) for crime in world.crimes[:200]}
    taken_ms = list[float]()
    for crime in world.crimes[:200]:
        incident = incident_of(crime)
        context = context_of(wearers[crime.offender], incident, standard, comparable_days_us(world, incident, standard))
        started = time.perf_counter()
        evaluate(context, incident, standard)
        taken_ms.append(1e3 * (time.perf_counter() - started))
    return {
        "evaluations_per_s": _rounded(1e3 * len(taken_ms) / sum(taken_ms)),
        "evaluation_median_ms": _rounded(statistics.median(taken_ms)),
        "evaluation_p99_ms": _rounded(float(np.quantile(taken_ms, 0.99))),
    }


def _calibrated(
    town: World, directory: Path | None, standard: Profile, seed: int, progress: Progress
) -> dict[str, Any]:
    task = progress.add_task("calibration", total=3 if directory else 1)
    radius_m = standard.circle("BIAD").radius_m
    held: dict[str, tuple[Callable[[], Iterator[Held]], int]] = {
        "town": (lambda: held_in_town(town, standard, seed, 800), 200)
    }
    if directory is not None:
        held["san_francisco"] = (lambda: held_on_taxis(directory, 44, seed, standard), 125)
        held["phones"] = (lambda: held_on_phones(directory, standard), _PREDICTIONS)
    found = dict[str, Any]()
    for name, (moments, each) in held.items():
        found[name] = _of_predictions(predict(moments(), standard, radius_m, seed, _PREDICTIONS, each))
        if name != "town":
            as_truth = predict(moments(), standard, radius_m, seed, _PREDICTIONS, each, taken_for_truth=True)
            found[name]["taken_for_truth"] = _of_predictions(as_truth)
        progress.advance(task)
    return found


def _of_predictions(found: Predictions) -> dict[str, Any]:
    parts = {"moving": found.is_moving, "parked": ~found.is_moving}
    everything = np.ones(found.probability.size, np.bool_)
    return (
        _reliability(found, everything)
        | {"worst_bin_interval": _over_trips(found), "trips": int(np.unique(found.trip).size)}
        | {name: _reliability(found, part) for name, part in parts.items()}
    )


def _over_trips(found: Predictions) -> list[float | None]:
    """Give between what the worst bin lies in the middle 95 of 100 draws of as many trips out of the trips.

    (B. Efron, Annals of Statistics 7, 1979.) The predictions of one trip are about the same few minutes.
    """
    draw = np.random.default_rng(0)
    trips = [np.flatnonzero(found.trip == trip) for trip in np.unique(found.trip)]
    worst = list[float]()
    for _ in range(_DRAWS):
        rows = np.concatenate([trips[trip] for trip in draw.integers(0, len(trips), len(trips)).tolist()])
        if rows.size >= _LEAST_DRAWN:
            worst.append(worst_bin(bins_of(found.probability[rows], found.came_true[rows])))
    return [_rounded(float(edge)) for edge in np.quantile(worst, (0.025, 0.975))] if worst else [None, None]


def _reliability(found: Predictions, part: Flags) -> dict[str, Any]:
    if part.sum() < 10:
        return {"pairs": int(part.sum()), "ece": None, "worst_bin": None}
    bins = bins_of(found.probability[part], found.came_true[part])
    return {
        "pairs": int(part.sum()),
        "ece": _rounded(ece(bins)),
        "worst_bin": _rounded(worst_bin(bins)),
        "predicted": [_rounded(mean) for mean in bins.predicted.tolist()],
        "observed": [_rounded(share) for share in bins.observed.tolist()],
    }


def _exclusion(standard: Profile, seed: int, scenes: int, progress: Progress) -> dict[str, Any]:
    """Lives without offences, with and without outliers; every moment of them a presence somewhere."""
    task = progress.add_task("exclusion", total=3)
    quiet = Parameters(history_days=5, offence_days=0)
    result: dict[str, Any] = {"exclusion_scenes": scenes}
    for key, share in (("wrongly_excluded", 0.0), ("wrongly_excluded_outliers", quiet.tag.outlier_share)):
        by = replace(quiet, tag=replace(Tag(), outlier_share=share))
        world = draw_town(seed + 1_000, 40, 0, by)
        result[key] = wrongly_excluded(world, standard, by, seed, scenes) if scenes else None
        progress.advance(task)
    far = excluded_far(world, standard, quiet, seed, _FAR_SCENES)
    progress.advance(task)
    return result | {
        "excluded_far": _rounded(far.excluded / far.scenes),
        "far_scenes": far.scenes,
        "excluded_far_with_mute_tags": _rounded(far.excluded_of_all / far.all_scenes),
    }


def _wearer_days(world: World) -> float:
    return len(world.reported) * _crime_days(world)


def _crime_days(world: World) -> float:
    """Days from the first crime to the last."""
    times_us = [crime.act_from_us for crime in world.crimes]
    return max((max(times_us) - min(times_us)) / 86_400e6, 1.0)


def _rounded(value: float | None) -> float | None:
    """To four figures; None for what is not a number, which JSON has no word for."""
    return None if value is None or value != value else float(f"{value:.{_FIGURES}g}")  # noqa: PLR0124  (NaN)


def _print(result: dict[str, Any]) -> None:
    for world in (result, result["san_francisco"]):
        if world is None:
            continue
        typer.echo("town" if world is result else "San Francisco")
        for name in ("standard", "moj-compatible", "radius-100m"):
            typer.echo(f"  {name:15} " + ", ".join(f"{key} {value}" for key, value in world[name].items()))
        typer.echo(f"  chance_ratio {world['chance_ratio']}, at 99 % {world['chance_ratio_99']}: {world['at_95']}")
        for stay, ratios in world["by_stay"].items():
            typer.echo(f"    {stay}: {ratios['chance_ratio']}, at 99 % {ratios['chance_ratio_99']}")
        typer.echo(f"  misleading {world['misleading']}, cllr {world['cllr']}")
        typer.echo(f"  {world['evaluations_per_s']} evaluations/s, median {world['evaluation_median_ms']} ms")
    for name, found in result["calibration"].items():
        low, high = found["worst_bin_interval"]
        typer.echo(
            f"calibration {name}: error {found['ece']}, worst bin {found['worst_bin']} ({low} to {high}), "
            f"{found['pairs']} pairs"
        )
    keys = ("wrongly_excluded", "wrongly_excluded_outliers", "excluded_far")
    typer.echo(", ".join(f"{key} {result[key]}" for key in keys) + f" of {result['exclusion_scenes']}")
    for reason in result["left_out"]:
        typer.echo(f"left out: {reason}")
