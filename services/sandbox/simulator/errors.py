"""Which title and which HTTP status does Meta give to an error code?"""

from __future__ import annotations

from dataclasses import dataclass

HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"

INVALID_PARAMETER = 100
NO_PERMISSION = 200
TOKEN_INVALID = 190
AUTH_MISSING = 0
UNKNOWN_PATH = 2500
THROUGHPUT = 130429
REQUIRED_MISSING = 131008
VALUE_NOT_VALID = 131009
POLICY_BLOCK = 368
ACCOUNT_LOCKED = 131031
MAINTENANCE = 131057
SENDER_IS_RECIPIENT = 131021
UNDELIVERABLE = 131026
GROUP_UNKNOWN = 131041
WINDOW_CLOSED = 131047
SPAM_LIMIT = 131048
MARKETING_STOPPED = 131050
TYPE_UNSUPPORTED = 131051
MEDIA_UPLOAD = 131053
PAIR_RATE = 131056
CURSOR_EXPIRED = 131059
PARAMETER_COUNT = 132000
TEMPLATE_UNKNOWN = 132001
TEMPLATE_PAUSED = 132015
TEMPLATE_DISABLED = 132016
TEMPLATE_PARAMETER = 132018

_UNAUTHORISED = {0, 190}
_FORBIDDEN = {10, 368, 130497, 131005, 131031} | set(range(200, 300))
_BROKEN = {3, 131000, 131016, 131045, 131057, 133000}
_AWAY = {2, 133004}
_MISSING = {132001}

_TITLES = {
    0: "AuthException",
    1: "API Unknown",
    2: "API Service",
    3: "API Method",
    4: "API Too Many Calls",
    10: "Permission Denied",
    100: "Invalid parameter",
    190: "Invalid OAuth access token - Cannot parse access token",
    200: "Provide valid app ID",
    368: "Temporarily blocked for policies violations",
    2500: "Unknown path components",
    80007: "Rate limit issues",
    80008: "Rate limit issues",
    130429: "Rate limit hit",
    130472: "User's number is part of an experiment",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131031: "Business Account locked",
    131041: "Group unknown",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped marketing messages",
    131051: "Unsupported message type",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131059: "Template cursor expired",
    131057: "Account in maintenance mode",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132005: "Template hydrated text too long",
    132007: "Template format character policy violated",
    132012: "Parameter format does not match format in the created template",
    132015: "Template is paused",
    132016: "Template is disabled",
    132018: "Template parameters are not valid",
    133004: "Server temporarily unavailable",
    133010: "Phone number not registered",
    135000: "Generic user error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Meta's no: its code, what it says in `error_data.details`, and its subcode where it gives one."""

    code: int
    details: str
    subcode: int | None = None


def title(code: int) -> str:
    """Meta's title of a code; a neutral one for the rest, because a rule may ask for any code."""
    return _TITLES.get(code, "Error")


def http_status(code: int) -> int:
    """The status Meta's table gives to a code; 400 for everything the table does not single out."""
    if code in _UNAUTHORISED:
        return 401
    if code in _FORBIDDEN:
        return 403
    if code in _MISSING:
        return 404
    if code in _BROKEN:
        return 500
    if code in _AWAY:
        return 503
    return 400
