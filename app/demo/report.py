"""What the demo prints at its end, for people and for programs."""

from collections import Counter
from typing import Any

import numpy as np
from rich.table import Table

from app.demo.play import Played
from app.demo.scene import Scene
from app.demo.town import NAME
from app.demo.truth import Outcome


def summary(scene: Scene, played: Played, outcome: Outcome) -> dict[str, Any]:
    """Every figure, as one JSON object."""
    return {
        "town": NAME,
        "wearers": len(scene.wearers),
        "pings": {**played.pings._asdict(), "per_s": round(played.pings.sent / played.playing_s)},
        "incidents": len(scene.crimes),
        "incidents_matched": len({match["incident"]["reference"] for match in played.matches}),
        "matches": len(played.matches),
        "alerts": len(played.alerts),
        "alerts_heard": sum(event.kind == "alert.raised" for event in played.events),
        "alerts_revised": sum(event.kind == "alert.revised" for event in played.events),
        "alerts_withdrawn": sum(alert["state"] == "withdrawn" for alert in played.alerts),
        "verdicts": dict(played.verdicts),
        "planted": len(outcome.found) + len(outcome.missed),
        "planted_found": len(outcome.found),
        "planted_missed": [
            {
                "incident": scene.crimes[pair.crime].reference,
                "wearer": scene.wearers[pair.wearer].reference,
                "why": str(why),
            }
            for pair, why in outcome.missed.items()
        ],
        "alerts_by_chance": {
            "at_own_place": len(outcome.chance_at_own_place),
            "passing": len(outcome.chance_passing),
        },
        "ping_to_alert_ms": _percentiles_ms(outcome.ping_to_alert_s),
        "incident_to_alert_ms": _percentiles_ms(outcome.incident_to_alert_s),
        "idle": played.is_idle,
        "seconds": round(played.playing_s, 1),
    }


def as_table(figures: dict[str, Any]) -> Table:
    """The same figures to read."""
    pings, chance = figures["pings"], figures["alerts_by_chance"]
    table = Table(
        title=f"{figures['town']}: what was matched, against the truth", title_justify="left", show_header=False
    )
    table.add_column(style="bold")
    table.add_column()
    table.add_row("pings sent", f"{pings['sent']:,} of {figures['wearers']} wearers, {pings['per_s']:,} a second")
    table.add_row("pings stored", f"{pings['accepted']:,}")
    others = f"{pings['duplicates']:,}, {pings['conflicts']:,}, {pings['rejected']:,}"
    table.add_row("duplicates, conflicts, rejected", others)
    matched = f"{figures['incidents_matched']} matched with a wearer's trail, in {figures['matches']} matches"
    table.add_row("incidents", f"{figures['incidents']}, of them {matched}")
    verdicts = ", ".join(f"{count:,} {verdict.replace('_', ' ')}" for verdict, count in figures["verdicts"].items())
    table.add_row("verdicts on wearers", verdicts)
    table.add_row("alerts raised", f"{figures['alerts']}, of them {figures['alerts_heard']} heard on the stream")
    table.add_row("  revised, withdrawn", f"{figures['alerts_revised']}, {figures['alerts_withdrawn']}")
    table.add_section()
    table.add_row("offences by wearers", f"{figures['planted']}")
    table.add_row("  found", f"{figures['planted_found']}")
    for why, count in Counter(missed["why"] for missed in figures["planted_missed"]).most_common():
        table.add_row("  missed", f"{count}: {why}")
    table.add_row("alerts by chance", f"{chance['at_own_place'] + chance['passing']}")
    table.add_row("  at a place of the wearer's own", f"{chance['at_own_place']}")
    table.add_row("  passing by", f"{chance['passing']}")
    table.add_section()
    table.add_row("from ping to alert", _as_text(figures["ping_to_alert_ms"]))
    table.add_row("from incident to alert", _as_text(figures["incident_to_alert_ms"]))
    return table


def _percentiles_ms(seconds: list[float]) -> dict[str, float | int | None]:
    if not seconds:
        return {"alerts": 0, "p50": None, "p99": None}
    p50_s, p99_s = np.percentile(seconds, (50, 99)).tolist()
    return {"alerts": len(seconds), "p50": round(p50_s * 1e3, 1), "p99": round(p99_s * 1e3, 1)}


def _as_text(figures: dict[str, Any]) -> str:
    if not figures["alerts"]:
        return "no such alert"
    return f"p50 {figures['p50']:.0f} ms, p99 {figures['p99']:.0f} ms ({figures['alerts']} alerts)"
