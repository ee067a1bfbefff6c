"""The types of fields in bodies, views and parameters: validation by decoders, and the OpenAPI document's text."""

import re
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta

from flashreserve.auth.emails import EMAIL_LENGTH_MAX
from flashreserve.auth.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from flashreserve.auth.purpose_tokens import PURPOSE_TOKEN_LENGTH_MAX
from flashreserve.core import limits
from flashreserve.core.customers import CUSTOMER_ID_PATTERN
from flashreserve.core.events import EventType
from flashreserve.core.model import Role, Status
from flashreserve.webhooks.subscriptions import ALL, SUBSCRIBABLE

_ID: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_END: Final = r"(?!\n)$"
"""The end of a text. In Python, `$` alone also stands before a line break at the end."""

PRICE_PATTERN: Final = r"^[0-9]{1,13}(\.[0-9]{1,4})?$"
Id = Annotated[
    str,
    Meta(
        pattern=_ID,
        max_length=36,  # So a line break at the end doesn't fit.
        extra_json_schema={"format": "uuid"},
        extra={"expected": "a UUID"},
    ),
]
CustomerId = Annotated[
    str,
    Meta(pattern=f"^{CUSTOMER_ID_PATTERN}{_END}", description="Opaque. That of an own account is a UUID."),
]
PurposeTokenText = Annotated[str, Meta(max_length=PURPOSE_TOKEN_LENGTH_MAX)]
Name = Annotated[
    str,
    Meta(
        description=(
            f"1 to {limits.NAME_LENGTH_MAX} characters on one line, without control and direction characters."
            " Spaces, and other characters that show nothing, don't count at the ends."
        ),
        # The rule itself is `names.parse_name`. The pattern shows the part of it that stays readable.
        extra_json_schema={"pattern": rf"^\s*\S(.{{0,{limits.NAME_LENGTH_MAX - 2}}}\S)?\s*$"},
        extra={"expected": f"text of 1 to {limits.NAME_LENGTH_MAX} characters on one line"},
    ),
]
CurrencyCode = Annotated[
    str,
    Meta(
        pattern="^[A-Z]{3}$",
        max_length=3,
        description="ISO 4217 code of a currency that has units.",
        extra={"expected": "three capital letters of ISO 4217, such as USD"},
    ),
]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a time zone, from 1970 to 9999.")]
INSTANT_RANGE: Final = "expected an instant from 1970 to 9999, in UTC"
Quantity = Annotated[int, Meta(ge=1, le=limits.QUANTITY_MAX)]
Returned = Annotated[int, Meta(ge=0, le=limits.QUANTITY_MAX)]
Stock = Annotated[int, Meta(ge=0, le=limits.STOCK_MAX)]
Change = Annotated[int, Meta(ge=-limits.STOCK_MAX, le=limits.STOCK_MAX, description="Above zero: put in.")]
CustomerLimit = Annotated[
    int,
    Meta(ge=1, le=limits.PER_CUSTOMER_LIMIT_MAX, description="Units a customer may hold and have bought, together."),
]
HoldSeconds = Annotated[int, Meta(ge=1, le=limits.HOLD_S_MAX, description="How long a hold lasts.")]
Extensions = Annotated[int, Meta(ge=0, le=limits.EXTENSIONS_MAX, description="How often a hold may be extended.")]
A_PRICE: Final = "a number such as 999.99"
PAGE_DEFAULT: Final = 50
PageLimit = Annotated[int, Meta(ge=1, le=limits.PAGE_MAX, extra_json_schema={"default": PAGE_DEFAULT})]
Price = Annotated[
    # Not a float, because floats round. `reader` keeps all digits, and `bodies` checks them.
    Any,
    Meta(
        description="A decimal, as text or number, with at most the currency's places.",
        extra_json_schema={
            "anyOf": [
                {"type": "string", "pattern": PRICE_PATTERN},
                {"type": "number", "minimum": 0, "maximum": limits.PRICE_MINOR_MAX},
            ]
        },
        extra={"expected": A_PRICE},
    ),
]

InstantText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        description="UTC, with milliseconds.",
        extra_json_schema={"format": "date-time"},
    ),
]
ExternalId = Annotated[
    str,
    Meta(
        # `.` and `..` can't be part of an address. In Python `$` also stands before a line break at the end.
        pattern=r"^(?!\.{1,2}$)[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?(?!\n)$",
        max_length=limits.EXTERNAL_ID_LENGTH_MAX,
        description="The shop's own id.",
        extra={
            "expected": f"1 to {limits.EXTERNAL_ID_LENGTH_MAX} characters without control characters, and without"
            " spaces at the ends"
        },
    ),
]
Description = Annotated[
    str,
    Meta(
        # Lines and tabs are allowed; other control characters, and those that change the text's direction, are not.
        pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$",
        max_length=limits.DESCRIPTION_LENGTH_MAX,
        extra={"expected": f"text of at most {limits.DESCRIPTION_LENGTH_MAX} characters"},
    ),
]
ImageUrl = Annotated[
    str,
    Meta(
        pattern=r"^https?://[!-~]+$",
        max_length=limits.URL_LENGTH_MAX,
        extra={"expected": f"an address (https:// or http://) of at most {limits.URL_LENGTH_MAX} characters"},
    ),
]
Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=limits.METADATA_KEY_LENGTH_MAX)],
        Annotated[str, Meta(max_length=limits.METADATA_VALUE_LENGTH_MAX)],
    ],
    Meta(
        max_length=limits.METADATA_PAIRS_MAX,
        description=(
            f"At most {limits.METADATA_PAIRS_MAX} pairs of texts, with names of up to {limits.METADATA_KEY_LENGTH_MAX}"
            f" characters and values of up to {limits.METADATA_VALUE_LENGTH_MAX}. They are kept, and not looked at."
        ),
        extra={
            "expected": f"an object of at most {limits.METADATA_PAIRS_MAX} texts with names of 1 to"
            f" {limits.METADATA_KEY_LENGTH_MAX} characters"
        },
    ),
]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.REASON_LENGTH_MAX,
        extra={"expected": f"text of 1 to {limits.REASON_LENGTH_MAX} characters"},
    ),
]
PauseReason = Annotated[
    str,
    Meta(
        description=f"1 to {limits.REASON_LENGTH_MAX} characters on one line, by the rules of a product's name.",
        # As for names, the rule itself is `names.parse_line`.
        extra_json_schema={"pattern": rf"^\s*\S(.{{0,{limits.REASON_LENGTH_MAX - 2}}}\S)?\s*$"},
        extra={"expected": f"text of 1 to {limits.REASON_LENGTH_MAX} characters on one line"},
    ),
]
SubjectId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-fA-F-]{{32,36}}{_END}",
        max_length=36,
        extra={"expected": "the id of a reservation, a product, an account, an API key or an endpoint"},
    ),
]
_TYPES: Final = "|".join(re.escape(type_.value) for type_ in EventType)
EventTypes = Annotated[
    str,
    Meta(
        pattern=f"^({_TYPES})(,({_TYPES}))*{_END}",
        max_length=1_000,
        extra={"expected": "types of events such as reservation.confirmed, with commas between them"},
    ),
]
EventId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-fA-F-]{{32,36}}-[0-9]{{1,9}}{_END}",
        max_length=46,
        description="The id of the subject, `-` and `sequence`.",
        extra={"expected": "the id of an event"},
    ),
]
EndpointUrl = Annotated[
    str,
    Meta(
        # The rule itself is `webhooks.endpoint_urls`, which says what was expected.
        description=(
            "https. http, private addresses, and ports besides 443 and 8443 are refused, unless settings allow them."
        ),
        extra_json_schema={"pattern": "^https?://[!-~]+$", "maxLength": limits.URL_LENGTH_MAX},
    ),
]
Subscription = Annotated[
    list[
        Annotated[
            # Checked by `webhooks.subscriptions`, which suggests a known type.
            str,
            Meta(extra_json_schema={"enum": [ALL, *(type_.value for type_ in SUBSCRIBABLE)]}),
        ]
    ],
    Meta(
        min_length=1,
        max_length=len(SUBSCRIBABLE),
        description="The types of events that are sent; `*` alone stands for all, also for those of later versions.",
    ),
]
Place = Annotated[
    str,
    Meta(
        pattern=f"^[0-9]{{1,18}}{_END}",
        max_length=18,
        description="A place in the log of events.",
        extra={"expected": "the nextCursor of an earlier answer"},
    ),
]
PriceText = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]{1,4})?$", description="A decimal with all of the currency's places.")
]
RoleText = Annotated[str, Meta(extra_json_schema={"enum": [role.value for role in Role]})]
StatusText = Annotated[str, Meta(extra_json_schema={"enum": [status.value for status in Status]})]

# These constraints are for the OpenAPI document only: auth checks the values, with messages for people.
Email = Annotated[
    str,
    Meta(
        extra_json_schema={
            "maxLength": EMAIL_LENGTH_MAX,
            "pattern": (
                r"^ *[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
                r"(localhost|([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
                r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?) *$"
            ),
        }
    ),
]
Password = Annotated[str, Meta(extra_json_schema={"maxLength": PASSWORD_LENGTH_MAX})]
NewPassword = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": PASSWORD_LENGTH_MIN,
            "maxLength": PASSWORD_LENGTH_MAX,
            "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
        }
    ),
]
