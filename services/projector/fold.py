"""Which rows do these events make? Every event to every table it concerns, one row a key, keys in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from services.common.domain import topics
from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    ContactChanged,
    ErrorReported,
    FlowChanged,
    GroupChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    PhoneNumberChanged,
    TemplateChanged,
    ThreadHandedOver,
    UnrecognizedChange,
    UserActionReported,
    UserPreferenceChanged,
    WebhookEvent,
)
from services.common.domain.records import TOPIC_OF, RecordConsent, SendingStateChanged, SendOutcome
from services.projector.projections import (
    account_events,
    calls,
    consents,
    contacts,
    conversations,
    dead_letters,
    flow_changes,
    groups,
    message_statuses,
    messages,
    messaging_limits,
    phone_number_changes,
    priced_conversations,
    send_outcomes,
    template_changes,
    templates,
)
from services.projector.projections.dead_letters import DeadLetterRow
from services.projector.projections.table import Row, Table

Event = WebhookEvent | SendOutcome | SendingStateChanged | RecordConsent | DeadLetterRow
"""What a record means. A dead letter, read from a topic or made here, is its own row."""

Rows = Mapping[str, list[Row]]
"""Flat rows by table, sorted by key, so that two writers never wait for each other in a circle; no empty tables."""

FAMILIES: Final[Mapping[str, tuple[Table, ...]]] = {
    "contacts": (contacts.CONTACTS, contacts.ALIASES, contacts.MOVES),
    "conversations": (conversations.TABLE,),
    "consents": (consents.CONSENTS, consents.CONSENT_EVENTS),
    "messages": (messages.TABLE,),
    "message_statuses": (message_statuses.TABLE,),
    "send_outcomes": (send_outcomes.TABLE,),
    "account_events": (account_events.TABLE,),
    "templates": (templates.TABLE,),
    "template_changes": (template_changes.TABLE,),
    "messaging_limits": (messaging_limits.TABLE,),
    "phone_number_changes": (phone_number_changes.TABLE,),
    "priced_conversations": (priced_conversations.TABLE,),
    "calls": (calls.TABLE,),
    "groups": (groups.GROUPS, groups.MEMBERS),
    "flow_changes": (flow_changes.TABLE,),
    "dead_letters": (dead_letters.TABLE,),
}
"""Tables by the module of `projections` that they are made in; in the order in which they are written."""
TABLES: Final = tuple(table for family in FAMILIES.values() for table in family)

_Rule = tuple[Table, Callable[[Any], Iterable[Any]]]
Rules = Mapping[type, tuple[_Rule, ...]]
"""For each type of event, and of what events say alike, the tables it concerns, and which rows it makes there."""


def _itself(row: Any) -> tuple[Any, ...]:
    """For what is its own row."""
    return (row,)


_WHOLE: Final[_Rule] = (account_events.TABLE, account_events.of_event)
_LIMIT: Final[_Rule] = (messaging_limits.TABLE, messaging_limits.of_changed)
_PERSON: Final[_Rule] = (contacts.SIGHTS, contacts.sight_of_person)

EVERY: Final[Rules] = {
    MessageReceived: (
        (messages.TABLE, messages.of_received),
        (contacts.SIGHTS, contacts.sight_of_received),
        (conversations.TABLE, conversations.of_received),
        (consents.TOLD, consents.events_of_received),
    ),
    MessageStatusChanged: (
        (messages.TABLE, messages.of_status),
        (message_statuses.TABLE, message_statuses.of_status),
        (priced_conversations.TABLE, priced_conversations.of_status),
        (contacts.SIGHTS, contacts.sight_of_status),
        (conversations.TABLE, conversations.of_status),
        (consents.TOLD, consents.events_of_status),
    ),
    MessageCopied: (
        (messages.TABLE, messages.of_copied),
        (contacts.SIGHTS, contacts.sight_of_copied),
    ),
    ContactChanged: (
        _WHOLE,
        (contacts.CONTACTS, contacts.contacts_of_changed),
        (contacts.ALIASES, contacts.aliases_of_changed),
        (contacts.MOVES, contacts.moves_of_changed),
    ),
    UserPreferenceChanged: (
        _WHOLE,
        _PERSON,
        (consents.TOLD, consents.events_of_preference),
    ),
    CallChanged: (_WHOLE, (calls.TABLE, calls.of_changed), _PERSON),
    ThreadHandedOver: (_WHOLE, _PERSON),
    UserActionReported: (_WHOLE,),
    AccountChanged: (_WHOLE, _LIMIT, (phone_number_changes.TABLE, phone_number_changes.of_account)),
    PhoneNumberChanged: (_WHOLE, _LIMIT, (phone_number_changes.TABLE, phone_number_changes.of_changed)),
    TemplateChanged: (
        _WHOLE,
        (templates.TABLE, templates.of_changed),
        (template_changes.TABLE, template_changes.of_changed),
    ),
    FlowChanged: (_WHOLE, (flow_changes.TABLE, flow_changes.of_changed)),
    GroupChanged: (_WHOLE, (groups.GROUPS, groups.groups_of_changed), (groups.MEMBERS, groups.members_of_changed)),
    ErrorReported: (_WHOLE,),
    UnrecognizedChange: (_WHOLE,),
    SendingStateChanged: (
        (account_events.TABLE, account_events.of_sending_state),
        (phone_number_changes.TABLE, phone_number_changes.of_sending_state),
    ),
    SendOutcome: (
        (send_outcomes.TABLE, send_outcomes.of_outcome),
        (messages.TABLE, messages.of_outcome),
        (contacts.CONTACTS, contacts.contact_of_outcome),
        (contacts.ALIASES, contacts.aliases_of_outcome),
        (conversations.TABLE, conversations.of_outcome),
        (consents.TOLD, consents.events_of_outcome),
    ),
    RecordConsent: ((consents.TOLD, consents.events_of_record),),
    DeadLetterRow: ((dead_letters.TABLE, _itself),),
    contacts.SightRow: (
        (contacts.CONTACTS, contacts.contact_of_sight),
        (contacts.ALIASES, contacts.aliases_of_sight),
    ),
    consents.ConsentEventRow: (
        (consents.CONSENTS, consents.states),
        (consents.CONSENT_EVENTS, _itself),
    ),
}
_TOLD_FIRST: Final = ((contacts.SIGHTS, contacts.SightRow), (consents.TOLD, consents.ConsentEventRow))
"""What many events say alike. It is folded first, and what is left is folded into tables as if it were events."""


def rules_for(tables: Collection[str]) -> Rules:
    """The rules that make rows of these tables; every type of event is there, if only with none."""
    rules = {event: tuple([rule for rule in rules if rule[0].name in tables]) for event, rules in EVERY.items()}
    wanted = {*tables, *[table.name for table, row in _TOLD_FIRST if rules[row]]}
    return {event: tuple([rule for rule in rules if rule[0].name in wanted]) for event, rules in EVERY.items()}


def sources_of(tables: Collection[str]) -> tuple[str, ...]:
    """The topics whose records can make a row of these tables. Any record can become a dead letter."""
    if dead_letters.TABLE.name in tables:
        return topics.PROJECTOR_SOURCES
    events: set[type] = {event for event, rules in rules_for(tables).items() if rules}
    concerned = {topic for event, topic in TOPIC_OF.items() if event in events}
    return tuple([topic for topic in topics.PROJECTOR_SOURCES if topic in concerned])


def fold(events: Iterable[Event], rules: Rules = EVERY) -> Rows:
    """The rows of a batch. Any order and any repetition of the same events gives the same rows."""
    folded: dict[str, dict[Row, Any]] = {table.name: {} for table in (*TABLES, *[table for table, _ in _TOLD_FIRST])}
    _gather(events, rules, folded)
    for table, _ in _TOLD_FIRST:
        _gather(folded[table.name].values(), rules, folded)
    return {table.name: _sorted(table, folded[table.name]) for table in TABLES if folded[table.name]}


def _gather(events: Iterable[Any], rules: Rules, folded: Mapping[str, dict[Row, Any]]) -> None:
    for event in events:
        for table, rows_of in rules[type(event)]:
            for row in rows_of(event):
                rows, key = folded[table.name], row[: table.key]
                known = rows.get(key)
                rows[key] = row if known is None else table.merge(known, row)


def _sorted(table: Table, rows: Mapping[Row, Any]) -> list[Row]:
    return [table.flat(rows[key]) for key in sorted(rows)]
