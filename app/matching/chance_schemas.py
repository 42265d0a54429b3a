"""How often a wearer is there anyway, as it is shown where somebody asks for it."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.matching.examples import EVIDENCE_EXAMPLE, SAID_EXAMPLE
from app.matching.schemas import MATCH_EXAMPLE, IncidentName, ProfileName, WearerName

EXAMPLE: JsonDict = {
    **{name: MATCH_EXAMPLE[name] for name in ("match_id", "incident", "wearer", "profile")},
    "history": EVIDENCE_EXAMPLE["history"],
    "chance": EVIDENCE_EXAMPLE["chance"],
    "said": SAID_EXAMPLE["in_favour"][-1:],
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
