"""What people send about alerts, and how it is shown."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.fields import refuse_control_characters, refuse_zero_byte
from app.rows import Record, RowError

Conclusion = Literal["pass_to_police", "explained", "data_too_poor", "need_more"]
OutcomeKind = Literal["eliminated", "arrested", "charged", "convicted", "no_further_action"]


def parse_day(value: object) -> date:
    """Read a day as in 2026-03-14. Raises PydanticCustomError with wrong_type or invalid."""
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "must be text such as 2026-03-14")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("invalid", "must be a day as in 2026-03-14") from None


def parse_uuid(value: object) -> object:
    """Read an id: JSON has text for it."""
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError("invalid", "must be an id as this API gives it") from None


PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(refuse_control_characters),
]
Explanation = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000), AfterValidator(refuse_zero_byte)
]
ReasonCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AnyId = Annotated[UUID, BeforeValidator(parse_uuid)]
Day = Annotated[date, BeforeValidator(parse_day)]

DECISION_POST_EXAMPLE: JsonDict = {
    "decision": "explained",
    "reason": "lives_or_works_there",
    "text": "Works at the shop next door; the manager confirms the shift.",
    "decided_by": "PC 1234 Moore",
}


class PostedDecision(Record):
    """What a person concludes from an alert as they saw it."""

    model_config = ConfigDict(json_schema_extra={"example": DECISION_POST_EXAMPLE})

    decision: Conclusion
    reason: ReasonCode = Field(description="A code of GET /v1/decision-reasons.")
    text: Explanation
    decided_by: PersonName = Field(description="The person who decides, for whom the key acts.")
    confirms: AnyId | None = Field(
        None, description="As the second check: the id of the decision of somebody else that this one agrees with."
    )


DECISION_EXAMPLE: JsonDict = {
    **DECISION_POST_EXAMPLE,
    "decision_id": "4d0d7a53-1b5e-4f0a-9a70-0f4f6f2f7d11",
    "revision": 2,
    "state": "decided",
    "is_second_check": False,
    "confirms": None,
    "organisation": "Kent",
    "decided_at": "2026-03-14T10:02:11.400Z",
}


class Decision(BaseModel):
    """A decision, bound to the revision that it was made on."""

    model_config = ConfigDict(json_schema_extra={"example": DECISION_EXAMPLE})

    decision_id: UUID
    revision: int
    decision: str
    reason: str
    text: str
    state: str  # of the alert, after it
    is_second_check: bool
    confirms: UUID | None
    organisation: str
    decided_by: str
    decided_at: datetime


class DecisionList(BaseModel):
    """All decisions on an alert, the oldest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"decisions": [DECISION_EXAMPLE]}})

    decisions: list[Decision]


class PatchedAlert(Record):
    """What a person does with an alert before deciding: takes it up, or hands it to somebody."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"by": "PC 1234 Moore", "assignee": "PO Nowak", "state": "in_review"}}
    )

    by: PersonName = Field(description="The person who does this, for whom the key acts.")
    state: Literal["in_review"] | None = Field(None, description="A new alert has had its first look.")
    assignee: PersonName | None = Field(
        None, description="Who looks after it, by name; null: nobody any more; absent: as before."
    )
    assignee_account_id: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(
        None, description="In place of assignee: an account of the caller's organisation."
    )

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        if self.assignee is not None and self.assignee_account_id is not None:
            raise PydanticCustomError("invalid", "name an account or a person, and not both")
        if self.state is None and not self.is_assigning:
            raise PydanticCustomError("missing_field", "send 'state', 'assignee' or 'assignee_account_id'")
        return self

    @property
    def is_assigning(self) -> bool:
        """Whether the body says who looks after it, were it nobody."""
        return bool(self.model_fields_set & {"assignee", "assignee_account_id"})


ASSIGNMENT_EXAMPLE: JsonDict = {
    "assignee": "PO Nowak",
    "assignee_account_id": None,
    "organisation": "Kent",
    "assigned_by": "PC 1234 Moore",
    "assigned_at": "2026-03-14T09:58:40.010Z",
}


class Assignment(BaseModel):
    """Who looked after an alert from then on."""

    assignee: str | None  # null: nobody
    assignee_account_id: int | None
    organisation: str  # of who assigned it
    assigned_by: str
    assigned_at: datetime


class AssignmentList(BaseModel):
    """All assignments of an alert, the oldest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"assignments": [ASSIGNMENT_EXAMPLE]}})

    assignments: list[Assignment]


OUTCOME_POST_EXAMPLE: JsonDict = {
    "outcome": "arrested",
    "date": "2026-03-15",
    "source": "Kent Police custody",
    "reference": "C/2026/4471",
}


class PostedOutcome(Record):
    """What came of an alert that was passed to the police."""

    model_config = ConfigDict(json_schema_extra={"example": OUTCOME_POST_EXAMPLE})

    outcome: OutcomeKind
    happened_on: Day = Field(alias="date", description="The day on which it happened.")
    source: PersonName = Field(description="Who says so.")
    reference: Annotated[str, Field(max_length=200), AfterValidator(refuse_control_characters)] = Field(
        "", description="What the source calls it."
    )


OUTCOME_EXAMPLE: JsonDict = {
    **OUTCOME_POST_EXAMPLE,
    "organisation": "Kent",
    "recorded_at": "2026-03-15T16:20:00.120Z",
}


class Outcome(BaseModel):
    """An outcome as it was recorded."""

    model_config = ConfigDict(json_schema_extra={"example": OUTCOME_EXAMPLE}, populate_by_name=True)

    outcome: str
    happened_on: date = Field(alias="date")
    source: str
    reference: str
    organisation: str
    recorded_at: datetime


class OutcomeList(BaseModel):
    """All outcomes of an alert, in the order in which they were recorded."""

    model_config = ConfigDict(json_schema_extra={"example": {"outcomes": [OUTCOME_EXAMPLE]}})

    outcomes: list[Outcome]


class OutcomeReceipt(BaseModel):
    """What became of the rows of a file of outcomes."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "recorded": 1,
                "unchanged": 0,
                "rejected": 1,
                "errors": [
                    {
                        "line": 3,
                        "pointer": "/alert",
                        "code": "not_passed_to_police",
                        "message": "no standing decision passes this alert to the police",
                        "required_action": "Record the decision first.",
                    }
                ],
            }
        }
    )

    recorded: int
    unchanged: int  # recorded before, word for word
    rejected: int
    errors: list[RowError]


REASON_EXAMPLE: JsonDict = {
    "code": "lives_or_works_there",
    "decision": "explained",
    "label": "The wearer lives, works or studies there",
    "is_active": True,
}


class PutReason(Record):
    """A reason for decisions."""

    model_config = ConfigDict(
        json_schema_extra={"example": {name: value for name, value in REASON_EXAMPLE.items() if name != "code"}}
    )

    decision: Conclusion | None = Field(None, description="The one that it is a reason for; null: any.")
    label: PersonName
    is_active: bool = True


class Reason(BaseModel):
    """A reason for decisions, by code."""

    model_config = ConfigDict(json_schema_extra={"example": REASON_EXAMPLE})

    code: str
    decision: str | None
    label: str
    is_active: bool


class ReasonList(BaseModel):
    """All reasons, those that are not in use any more as well."""

    model_config = ConfigDict(json_schema_extra={"example": {"reasons": [REASON_EXAMPLE]}})

    reasons: list[Reason]


class SecondCheck(Record):
    """Whether an organisation asks for a second check."""

    model_config = ConfigDict(json_schema_extra={"example": {"is_asked": True}})

    is_asked: bool
