"""How often a wearer is there anyway, as it is shown where somebody asks for it."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.matching.schemas import IncidentName, ProfileName, WearerName
from matcher.profile import STANDARD

EXAMPLE: JsonDict = {
    "match_id": "0b0c8a5e-6f0c-5f1e-8d0a-5a8f0d5c9a11",
    "incident": {
        "incident_id": "7d1f9c52-0a34-5b7e-9c1d-2f6b8e4a3c10",
        "force": "Kent",
        "reference": "12/1234/26",
        "version": 1,
    },
    "wearer": {"wearer_id": "3e5a7b19-4c2d-5e8f-a1b2-c3d4e5f60718", "reference": "W-2"},
    "profile": {"name": "standard", "version": 1, "sha256": STANDARD.sha256().hex()},
    "history": "weighed",
    "chance": {
        "days": 90,
        "as_much": 0,
        "throughout": 0.0115,
        "rate": 0.000126,
        "rate_low": 6.48e-06,
        "rate_high": 0.000588,
        "ratio": 91.0,
        "ratio_low": 19.6,
        "ratio_high": 1770.0,
        "most": 19.6,
        "words": "moderate support",
        "most_words": "moderate support",
    },
    "said": [
        (
            "On 0 days of 90 comparable ones the person was there as much; presence throughout such an offence is 91 "
            "times what their ordinary life makes it, at least 19.6 times: moderate support (so many days allow "
            "moderate support at most)."
        )
    ],
}


class ChanceFigures(BaseModel):
    """Presence throughout such an offence beside the wearer's ordinary life: `chance` of a match's evidence."""

    days: int = Field(description="Comparable days that are covered well enough.")
    as_much: int = Field(description="Of them, those on which the wearer was there as much.")
    throughout: float = Field(description="A_s: of being there at the moment of the crime, within such a stay.")
    rate: float = Field(description="B: the same on an ordinary day, with bounds that 5 in 100 pass on either side.")
    rate_low: float
    rate_high: float
    ratio: float = Field(description="Likelihood ratio A_s/B, with what the bounds of B make of it.")
    ratio_low: float
    ratio_high: float | None = Field(description="Null where there is no bound.")
    most: float = Field(description="The highest `ratio_low` that so many days allow.")
    words: str
    most_words: str


class MatchChance(BaseModel):
    """How often the wearer of one match is there anyway."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    match_id: UUID
    incident: IncidentName = Field(description="By the version that was weighed now, the latest.")
    wearer: WearerName
    profile: ProfileName
    history: Literal["weighed", "too_little", "not_needed"] = Field(
        description="`too_little`: under seven comparable days. `not_needed`: the profile weighs no history."
    )
    chance: ChanceFigures | None
    said: list[str] = Field(description="The same in words; empty where the profile weighs no history.")
