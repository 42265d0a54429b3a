"""The verdict on a wearer for an incident, as it is shown."""

import math
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.matching.schemas import WearerName
from matcher.evidence import Evidence

Verdict = Literal["present", "possible", "excluded", "cannot_say"]


class Margin(BaseModel):
    """By how much presence was possible or not; worst of leaving out any one position."""

    needed_mps: float | None = Field(
        description="The speed that being there at any moment of the window would have taken; null: none would do."
    )
    longest_stay_s: float = Field(description="The longest stay that was possible, an upper bound.")
    is_sound: bool = Field(description="Whether strap, power and activation are in order throughout what it rests on.")


class Coverage(BaseModel):
    """How much of the window with its padding is known."""

    share: float = Field(description="Between two positions near enough to each other, 0 to 1.")
    fixes: int
    longest_gap_s: float


EXAMPLE: JsonDict = {
    "wearer": {"wearer_id": "3e5a7b19-4c2d-5e8f-a1b2-c3d4e5f60718", "reference": "W-1"},
    "verdict": "excluded",
    "highest": 0.0,
    "ever": 0.0,
    "coverage": {"share": 0.98, "fixes": 114, "longest_gap_s": 184.0},
    "margin": {"needed_mps": 131.4, "longest_stay_s": 0.0, "is_sound": True},
    "match_id": None,
}


class WearerVerdict(BaseModel):
    """What can be said of one wearer and the incident."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    wearer: WearerName
    verdict: Verdict
    highest: float | None = Field(description="Highest probability of having been inside; null: the profile asks none.")
    ever: float | None = Field(description="Probability of having been inside at any moment; null as above.")
    coverage: Coverage | None
    margin: Margin | None
    match_id: UUID | None = Field(description="Of the match, if this is one.")

    @classmethod
    def of(cls, wearer_id: UUID, reference: str, evidence: Evidence, match_id: UUID | None) -> "WearerVerdict":
        """Show the parts of the evidence that matter for everybody."""
        inside, reach, coverage = evidence.inside, evidence.reach, evidence.coverage
        return cls(
            wearer=WearerName(wearer_id=wearer_id, reference=reference),
            verdict=evidence.verdict,
            highest=inside and inside.highest,
            ever=inside and inside.ever,
            coverage=coverage
            and Coverage(share=coverage.share, fixes=coverage.fixes, longest_gap_s=coverage.longest_gap_s),
            margin=reach
            and Margin(
                needed_mps=None if math.isinf(reach.needed_mps) else reach.needed_mps,
                longest_stay_s=reach.longest_stay_s,
                is_sound=reach.is_sound,
            ),
            match_id=match_id,
        )


class WearerVerdictPage(BaseModel):
    """Verdicts in the order of the wearers' ids."""

    model_config = ConfigDict(json_schema_extra={"example": {"wearers": [EXAMPLE], "next": None}})

    wearers: list[WearerVerdict]
    next: UUID | None = Field(description="Cursor of the next page, which may be there even where this one is short.")
