"""What does an error code of Graph prove about the request it answers, and what is the producer told? The one table.

A code is `RETRY` or `FINAL` only where it is certain that Meta took nothing. Whatever may come for an accepted message, or is
not listed, is `UNKNOWN`: nothing is sent a second time on a guess. Codes of other endpoints stand here too, because an HTTP
answer is read by its code alone.

Each group names the section of Meta's page it is from; "observed" is what Graph answers and the page leaves out.
https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from services.common.domain.covers import Covers
from services.common.domain.reasons import Reason


class Verdict(StrEnum):
    """What a code says of the request it answers."""

    RETRY = "retry"
    """Refused for now."""
    RETRY_WITH_503 = "retry_with_503"
    """Refused for now when the HTTP status is 503 too; with any other status nobody knows."""
    FINAL = "final"
    """Refused for ever."""
    UNKNOWN = "unknown"
    """Meta may have taken it."""


class Scope(StrEnum):
    """What a refusal is about, and so what has to wait where it is for now."""

    COMMAND = "command"
    PAIR = "pair"
    THROUGHPUT = "throughput"
    """The number's rate alone: it sends on, slower."""
    NUMBER = "number"
    WABA = "waba"
    """Every number of the account."""
    APP = "app"
    TOKEN = "token"  # noqa: S105 - a scope, not a secret
    """The number, until somebody mends its token or permissions; one probe at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One code. `told` is for people and is the same for every message; waits belong to the RETRY verdicts.

    The n-th attempt waits `wait_seconds * growth ** n`. `covers`: what of the scope is stopped, until Meta takes one of it again;
    the waits are those between probes then, and the command is kept.
    """

    verdict: Verdict
    scope: Scope
    reason: Reason
    told: str
    wait_seconds: float = 0.0
    growth: float = 1.0
    covers: Covers | None = None


PROBE_SECONDS: Final = 30.0
"""How long a number whose token or permission is refused waits before it is tried again."""
ACCOUNT_PROBE_SECONDS: Final = 60.0
"""How long a stopped number or account waits before it is tried for the first time; each further wait is twice as long."""
_SPAM_PROBE_SECONDS: Final = 900.0
"""The same where Meta lifts it by itself, after hours: what is tried counts against the business."""


def row_of(code: int) -> Row:
    """What is known of a code."""
    return CODES.get(code, _UNLISTED)


def code_of(error: object) -> int | None:
    """The code of an error as Graph words it, in an answer or a webhook; None where none is there that Postgres can hold."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) and -(2**31) <= code < 2**31 else None


def _wait(told: str, scope: Scope, seconds: float, *, growth: float = 1.0, reason: Reason = Reason.THROTTLED) -> Row:
    return Row(verdict=Verdict.RETRY, scope=scope, reason=reason, told=told, wait_seconds=seconds, growth=growth)


def _wait_with_503(told: str) -> Row:
    return Row(
        verdict=Verdict.RETRY_WITH_503, scope=Scope.COMMAND, reason=Reason.THROTTLED, told=told, wait_seconds=2.0, growth=2.0
    )


def _stop(
    told: str,
    scope: Scope,
    covers: Covers,
    *,
    reason: Reason = Reason.ACCOUNT_STOPPED,
    seconds: float = ACCOUNT_PROBE_SECONDS,
    growth: float = 2.0,
) -> Row:
    return Row(verdict=Verdict.RETRY, scope=scope, reason=reason, told=told, wait_seconds=seconds, growth=growth, covers=covers)


def _token(told: str) -> Row:
    return _stop(told, Scope.TOKEN, Covers.EVERYTHING, reason=Reason.ACCESS_TOKEN, seconds=PROBE_SECONDS, growth=1.0)


def _final(told: str, reason: Reason = Reason.REJECTED_BY_META, scope: Scope = Scope.COMMAND) -> Row:
    return Row(verdict=Verdict.FINAL, scope=scope, reason=reason, told=told)


def _template(told: str) -> Row:
    return _final(told, Reason.TEMPLATE)


def _contact(told: str) -> Row:
    return _final(told, Reason.UNDELIVERABLE)


def _setup(told: str, scope: Scope) -> Row:
    return _final(told, Reason.CONFIGURATION, scope)


def _unknown(told: str) -> Row:
    return Row(verdict=Verdict.UNKNOWN, scope=Scope.COMMAND, reason=Reason.NO_ANSWER, told=told)


def _same(codes: Iterable[int], row: Row) -> dict[int, Row]:
    return dict.fromkeys(codes, row)


_UNLISTED: Final = _unknown("Parley does not know this code, so Meta may have the message.")

# Authorization errors. What waits is the number until its token is mended; its commands are kept.
_AUTHORIZATION: Final = {
    0: _token("Meta does not accept the access token: give the number a new one."),
    3: _token("The app lacks a capability or permission for this call: grant it at Meta."),
    10: _token("The app lacks a permission: grant it at Meta."),
    190: _token("The access token is expired or invalid: give the number a new one."),
    **_same(range(200, 300), _token("The token lacks a permission: grant it at Meta.")),
    131005: _token("Access is denied: grant the token the permission at Meta."),
    104: _setup("The app demands appsecret_proof: switch it off at Meta.", Scope.APP),  # observed
}

# Integrity errors. Nothing that is sent again mends them; the commands are kept for when Meta lifts them.
_INTEGRITY: Final = {
    368: _stop("The account is blocked for a violation of policy: appeal at Meta.", Scope.WABA, Covers.EVERYTHING),
    130497: _stop(
        "The account may not write to people in this country.", Scope.WABA, Covers.COUNTRY, seconds=_SPAM_PROBE_SECONDS
    ),
    131031: _stop("The account is locked: settle it with Meta.", Scope.WABA, Covers.EVERYTHING),
    139000: _setup("Meta does not let this account publish Flows.", Scope.WABA),
}

# Throttling errors. 17, 32 and 613 are Graph's own ("observed"): they count by token, and a number has one token.
_THROTTLING: Final = {
    4: _wait("The app makes too many calls; it is sent later.", Scope.APP, 30.0),
    17: _wait("The token makes too many calls; it is sent later.", Scope.NUMBER, 30.0),
    32: _wait("The token makes too many calls; it is sent later.", Scope.NUMBER, 30.0),
    613: _wait("The token makes too many calls; it is sent later.", Scope.NUMBER, 30.0),
    80007: _wait("The account makes too many calls; it is sent later.", Scope.WABA, 30.0),
    # Answers calls that manage templates and numbers; a send has 80007.
    80008: _final("The account manages templates or numbers too often: wait an hour.", scope=Scope.WABA),
    130429: _wait("The number is at its limit; it is sent later.", Scope.THROUGHPUT, 1.0),
    # The n-th refusal in a row of a pair waits 4^n s, which `pair_limit` counts.
    131056: _wait("Too many messages to this contact; it is sent later.", Scope.PAIR, 1.0, reason=Reason.PAIR_LIMIT),
    # Only what the business begins is restricted, for hours or days: answers go on.
    131048: _stop(
        "The number may not begin conversations, too many were reported as spam: pause campaigns.",
        Scope.NUMBER,
        Covers.BUSINESS_INITIATED,
        seconds=_SPAM_PROBE_SECONDS,
    ),
    131064: _stop(
        "Sends of templates are limited for wrong categories; it is sent later.",
        Scope.WABA,
        Covers.TEMPLATES,
        seconds=_SPAM_PROBE_SECONDS,
    ),
    # Meta counts over 72 hours; the sender asks every hour, because nobody says when the count began.
    133016: _wait("The number was registered too often; it is sent later.", Scope.NUMBER, 3600.0),
}

# Other errors of the section on messages: who may be written to.
_CONTACT: Final = {
    130403: _contact("The business has blocked this contact: unblock it first."),
    130472: _contact("Meta holds marketing back from this contact for an experiment: do not send it again."),
    131026: _contact("The contact cannot be reached on WhatsApp: use another channel."),
    131047: _final("More than 24 hours since the contact wrote: send a template.", Reason.WINDOW_CLOSED),
    470: _final("More than 24 hours since the contact wrote: send a template.", Reason.WINDOW_CLOSED),  # observed
    131049: _contact("Meta holds marketing back from this contact: wait a day at least, and longer each time."),
    131050: _final("The contact has stopped your marketing: send no more of it.", Reason.OPTED_OUT),
    137000: _contact("The identity of the contact has changed: verify it before you send."),
    131021: _final("The recipient is the number itself.", Reason.RECIPIENT),
    131062: _final("This template needs a phone number as its recipient.", Reason.RECIPIENT),
    131030: _setup("A test number may write to the numbers on its list only: add this one at Meta.", Scope.NUMBER),
}

# Other errors of the section on messages: what may be sent.
_REQUEST: Final = {
    33: _setup("The number does not exist at Meta any more.", Scope.NUMBER),
    100: _final("A parameter is invalid or not supported: mend the message."),
    131008: _final("A required parameter is missing: mend the message."),
    131009: _final("The value of a parameter is not valid: mend the message."),
    131051: _final("Meta does not support this type of message.", Reason.TYPE_UNSUPPORTED),
    131055: _setup("The method is not allowed for this number.", Scope.NUMBER),
    131059: _final("The cursor is not valid any more: begin again with the first page."),
    131061: _setup("A template with a maximum price is sent with marketing_messages, which takes it to that API.", Scope.COMMAND),
    # 131061 is about one template: its producer names the other endpoint. This is how the account is set up.
    131063: _stop(
        "Marketing templates of this account are sent with marketing_messages, which takes them to that API.",
        Scope.WABA,
        Covers.MARKETING,
        reason=Reason.CONFIGURATION,
    ),
    # A link may be slow once. courier tries 131053 again, Meta's page says to mend the media: Meta has taken nothing
    # either way, so it is tried again until the command expires.
    131052: _wait("Meta could not fetch the media; it is tried again.", Scope.COMMAND, 5.0, growth=2.0, reason=Reason.MEDIA),
    131053: _wait("Meta could not take the media; it is tried again.", Scope.COMMAND, 5.0, growth=2.0, reason=Reason.MEDIA),
    134011: _setup("The terms of WhatsApp Payments are not accepted: accept them at Meta.", Scope.WABA),
    139200: _setup("The account may not send without a template by Direct Send.", Scope.WABA),
    1752041: _final("The account has asked for this already."),
}

# Other errors: what is wrong with the number or the account.
_ACCOUNT: Final = {
    131037: _stop("The display name of the number is not approved: settle it at Meta.", Scope.NUMBER, Covers.EVERYTHING),
    131042: _stop(
        "Meta cannot charge the account: mend its payment method.", Scope.WABA, Covers.EVERYTHING, reason=Reason.PAYMENT
    ),
    131044: _final("The account has no payment method for calls: add one at Meta.", Reason.PAYMENT, Scope.WABA),
    131045: _stop("The number is not registered correctly: register it again.", Scope.NUMBER, Covers.EVERYTHING),
    133010: _stop("The number is not registered: register it.", Scope.NUMBER, Covers.EVERYTHING),
    131057: _wait("The number is in maintenance; it is sent later.", Scope.NUMBER, 60.0),
}

# Unknown, unavailable and generic errors. The page says to try them again, but messages were accepted with them: only a 503 says
# that the service did not take the request. 133004 is no code of a send, so it gets no more trust than 2 and 131016.
_UNAVAILABLE: Final = {
    1: _unknown("Meta does not say what went wrong, so it may have the message."),
    2: _wait_with_503("Meta's service was down or overloaded."),
    131000: _unknown("Meta does not say what went wrong, so it may have the message."),
    131016: _wait_with_503("Meta's service was not available."),
    133004: _wait_with_503("Meta's server was not available."),
    135000: _unknown("Meta does not say what went wrong, so it may have the message."),
}

# What status webhooks and `value.errors` tell of messages that were taken before. As an answer it proves no refusal.
_AFTERWARDS: Final = {
    131035: _unknown("Meta could not deliver a webhook in time: data is lost."),
    131036: _unknown("A device of the contact did not get the message."),
    131043: _unknown("The message expired before it was delivered."),
}

# Template errors. 132015 ends by itself when Meta lifts the pause, but nobody knows when: the producer decides.
_TEMPLATES: Final = {
    132000: _template("The number of parameters is not what the template has."),
    132001: _template("The template does not exist in this language or is not approved."),
    132005: _template("The text is too long once its parameters are in it."),
    132007: _template("The content of the template violates a policy of Meta."),
    132008: _template("The value of a parameter is not what the template takes."),
    132012: _template("The format of a parameter is not what the template has."),
    132015: _template("The template is paused for its quality: wait until Meta lifts it."),
    132016: _template("The template is disabled for its quality: make another."),
    132018: _template("A parameter of the template is not valid."),
    132068: _template("The Flow of the template is blocked: mend the Flow."),
    # Ten messages an hour: one more is possible long before the hour is over.
    132069: _wait("The Flow of the template is throttled; it is sent later.", Scope.COMMAND, 600.0),
    134100: _template("The Marketing Messages API takes templates of the category marketing only."),
    134101: _wait("The template is being synchronised; it is sent later.", Scope.COMMAND, 600.0),
    134102: _template("The template is not available to the Marketing Messages API."),
    134103: _template("The Marketing Messages API does not take this template."),
}

# Registration and verification. Only the states of the number answer a send; a PIN is never part of one.
_REGISTRATION: Final = {
    133000: _wait("The number is being registered again; it is sent later.", Scope.NUMBER, 60.0),
    133005: _setup("The PIN of the number is wrong.", Scope.NUMBER),
    133006: _setup("The number has to be verified before it is registered.", Scope.NUMBER),
    133008: _setup("The PIN was wrong too often: wait as long as Meta says.", Scope.NUMBER),
    133009: _setup("The PIN was entered too fast: wait as long as Meta says.", Scope.NUMBER),
    133015: _wait("The number was deleted a moment ago; it is sent later.", Scope.NUMBER, 300.0),
    136024: _setup("The code to verify the number cannot be asked for now.", Scope.NUMBER),
    136025: _setup("The code to verify the number cannot be asked for now.", Scope.NUMBER),
}

# Codes of the API before this one. They are refusals of a request, and not seen any more.
_LEGACY: Final = _same((131001, 131002, 131006, 131014), _final("The message is not valid: mend it."))

# Group errors (page of its own). 131201 is a success for some participants.
_GROUPS: Final = {
    131020: _final("The group has no other member."),
    131041: _final("The group does not exist.", Reason.RECIPIENT),
    131201: _unknown("Some of it was done and some was not."),
    131202: _final("The participant is in the group already."),
    131203: _contact("The contact has not accepted the terms that groups need."),
    131204: _final("The group has too many participants."),
    131207: _final("The group is suspended.", Reason.RECIPIENT),
    131208: _final("Too many calls for groups: wait before the next.", scope=Scope.NUMBER),
    131209: _final("The picture of the group is not valid."),
    131210: _final("The picture of the group is not valid."),
    131211: _final("The number has as many groups as it may have.", scope=Scope.NUMBER),
    131212: _final("The contact is not in the group."),
    131213: _final("The request to join does not exist any more."),
    131214: _setup("The number may make no groups for now, it sent too much marketing.", Scope.NUMBER),
    131215: _setup("The number is not eligible for groups.", Scope.NUMBER),
}

# Calling errors (page of its own). A request for permission to call is a message: 138009 and 138017 answer one. A connection that
# broke and a time-out leave open what was done; 138019 to 138023 end calls that were begun.
_CALLING: Final = {
    138000: _setup("Calls are not enabled for the number: enable them at Meta.", Scope.NUMBER),
    138001: _contact("The contact cannot be called."),
    138002: _final("The number has as many calls as it may have: try later.", scope=Scope.NUMBER),
    138003: _final("There is a call with this contact already.", scope=Scope.PAIR),
    138004: _unknown("The connection of the call broke."),
    138005: _final("The number starts too many calls: try later.", scope=Scope.NUMBER),
    138006: _contact("The contact has not permitted calls: ask for permission."),
    138007: _unknown("The call timed out."),
    138009: _contact("The contact was asked too often for permission to call: wait a day at least."),
    138012: _final("The contact was called as often as a day allows.", scope=Scope.PAIR),
    138013: _final("Permissions to call are read too often: wait before the next.", scope=Scope.NUMBER),
    138014: _setup("Calls are disabled for the number for now.", Scope.NUMBER),
    138015: _setup("Calls cannot be enabled for the number.", Scope.NUMBER),
    138017: _final("The contact has permitted calls for good: do not ask."),
    138018: _setup("Calls cannot be enabled for the number.", Scope.NUMBER),
    **_same(range(138019, 138024), _unknown("A call failed after it was begun.")),
}

# Block list errors (page of its own). 139100 is a success for some contacts; 139103 does not say what was done.
_BLOCK_LIST: Final = {
    139100: _unknown("Some of it was done and some was not."),
    139101: _final("The block list is full.", scope=Scope.NUMBER),
    139102: _final("The block list was being changed by another request: try again.", scope=Scope.NUMBER),
    139103: _unknown("Meta does not say what went wrong."),
}

# Flows errors (page of its own), except 139000, and business usernames. Nothing was changed.
_FLOWS_AND_USERNAMES: Final = {
    139001: _final("The Flow cannot be updated."),
    139002: _final("The Flow cannot be published."),
    139003: _final("The Flow cannot be deprecated."),
    139004: _final("The Flow cannot be deleted."),
    147001: _final("The username is taken.", scope=Scope.NUMBER),
    147002: _final("The number is not eligible for this username.", scope=Scope.NUMBER),
    147003: _final("The username is that of a Facebook page which is not linked.", scope=Scope.NUMBER),
    147004: _final("The username is that of an Instagram account which is not linked.", scope=Scope.NUMBER),
    147005: _final("Another of your numbers uses the username.", scope=Scope.NUMBER),
}

# Template creation, migration, synchronization and insights errors. Where only the number of a code is known, it proves nothing;
# 2593109 is told in a history webhook and answers no request.
_MANAGEMENT: Final = {
    2388019: _final("The account has as many templates as it may have.", scope=Scope.WABA),
    2388024: _template("The template exists in this language already."),
    2388039: _template("A text of the template is too long."),
    2388040: _template("A text of the template is too long."),
    2388047: _template("The header of the template is not valid."),
    2388072: _template("The body of the template is not valid."),
    2388073: _template("The footer of the template is not valid."),
    2388293: _template("The template has too many variables for its length."),
    2388299: _template("The template begins or ends with a variable."),
    **_same((2388318, 2388330), _unknown("A call that manages templates failed.")),
    **_same((2388001, 2388012, 2388091, 2388093, 2388103, 2494100), _unknown("A call that moves a number failed.")),
    2593107: _final("The number was synchronised as often as it may be.", scope=Scope.NUMBER),
    2593108: _final("The time to synchronise the number is over.", scope=Scope.NUMBER),
    2593109: _unknown("The business does not share its history."),
    **_same((2593079, 2593085, 200005, 200006, 200007), _unknown("A call for analytics failed.")),
}

CODES: Final[Mapping[int, Row]] = MappingProxyType(
    {
        **_AUTHORIZATION,
        **_INTEGRITY,
        **_THROTTLING,
        **_CONTACT,
        **_REQUEST,
        **_ACCOUNT,
        **_UNAVAILABLE,
        **_AFTERWARDS,
        **_TEMPLATES,
        **_REGISTRATION,
        **_LEGACY,
        **_GROUPS,
        **_CALLING,
        **_BLOCK_LIST,
        **_FLOWS_AND_USERNAMES,
        **_MANAGEMENT,
    }
)
