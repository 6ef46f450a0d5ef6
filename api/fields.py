"""The fields that several shapes have, with what a JSON Schema can say of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr

from accounts.emails import MAX_EMAIL_LENGTH
from accounts.forms import MAX_NAME_LENGTH
from courses.slugs import slug_of
from grants.codes import MAX_TYPED_LENGTH
from grants.forms import MAX_TEXT_LENGTH
from maaledu.paging import MAX_LIMIT

# What the forms refuse, in words of a JSON Schema: NUL in any text, control characters in names.
TEXT: dict[str, Any] = {"pattern": r"^[^\u0000]*$"}
CONTROL = r"\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f"
NAME: dict[str, Any] = {"pattern": rf"^[^{CONTROL}]*$"}


def _only_true(value: Any) -> Any:
    if value is not True:  # 1 is equal to it
        raise ValueError("only true")
    return value


Yes = Annotated[Literal[True], BeforeValidator(_only_true)]
Email = Annotated[
    StrictStr,
    Field(min_length=3, max_length=MAX_EMAIL_LENGTH, json_schema_extra={"format": "email"}),
]
CourseId = Annotated[
    StrictStr,
    AfterValidator(slug_of),
    Field(
        max_length=140,
        description="The course's slug; what the old platform called it is understood as well.",
    ),
]
AnyName = Annotated[StrictStr, Field(max_length=MAX_NAME_LENGTH, json_schema_extra=NAME)]
AnyCode = Annotated[StrictStr, Field(max_length=MAX_TYPED_LENGTH, json_schema_extra=TEXT)]
Code = Annotated[
    StrictStr, Field(min_length=1, max_length=MAX_TYPED_LENGTH, json_schema_extra=TEXT)
]
Text = Annotated[StrictStr, Field(min_length=1, max_length=MAX_TEXT_LENGTH, json_schema_extra=TEXT)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows of a page.")]
Cursor = Annotated[
    str, Field(description="The nextCursor of the page before, which is signed; any other is none.")
]
