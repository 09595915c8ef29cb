"""What do the tables and views hold, and how do they belong together? The page `docs/entities.md`, made from the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tools.catalog import SCHEMAS, Column, Entity

PATH: Final = "docs/entities.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Rows of `many` name, in `by`, the row of `one` with that key."""

    one: str
    many: str
    by: tuple[str, ...]
    key: tuple[str, ...] = ()
    """The columns of `one`, where they are called something else."""

    @property
    def of_one(self) -> tuple[str, ...]:
        return self.key or self.by


def _to(one: str, *by: str, many: Iterable[str], key: tuple[str, ...] = ()) -> Iterator[Relation]:
    return (Relation(one=one, many=name, by=by, key=key) for name in many)


RELATIONS: Final = (
    *_to("registry.tenants", "tenant_id", many=["registry.phone_numbers"]),
    *_to(
        "registry.phone_numbers",
        "phone_number_id",
        many=[
            "projector.calls",
            "projector.consents",
            "projector.conversations",
            "projector.groups",
            "projector.messages",
            "projector.phone_number_changes",
            "sender.limits",
            "sender.media",
            "sender.send_commands",
        ],
    ),
    *_to(
        "projector.contacts",
        "contact",
        many=[
            "projector.calls",
            "projector.contact_aliases",
            "projector.contact_moves",
            "projector.consents",
            "projector.conversations",
            "projector.group_members",
            "projector.messages",
        ],
    ),
    *_to("projector.consents", "phone_number_id", "contact", "category", many=["projector.consent_events"]),
    *_to("projector.conversations", "phone_number_id", "contact", many=["projector.messages"]),
    *_to("projector.groups", "phone_number_id", "group_id", many=["projector.group_members", "projector.messages"]),
    *_to("projector.messages", "wamid", many=["projector.message_statuses", "projector.consent_events"]),
    *_to("projector.priced_conversations", "conversation_id", many=["projector.message_statuses"]),
    *_to("projector.templates", "waba_id", "template_name", "template_language", key=("waba_id", "name", "language"),
         many=["projector.template_changes"]),
    *_to("sender.send_commands", "command_id", "period", many=["sender.send_attempts", "sender.late_failures", "sender.resends"]),
    *_to("sender.send_commands", "command_id", many=["projector.messages", "projector.send_outcomes"]),
    *_to("sender.template_polls", "waba_id", many=["sender.templates"]),
    *_to("sender.portfolios", "portfolio_id", many=["sender.portfolio_recipients", "registry.phone_numbers"]),
    *_to(
        "analytics.dim_phone_number",
        "phone_number_id",
        many=[
            "analytics.agg_cost_day",
            "analytics.agg_number_hour",
            "analytics.agg_template_day",
            "analytics.dim_group",
            "analytics.fct_account_event",
            "analytics.fct_call",
            "analytics.fct_consent_event",
            "analytics.fct_cost",
            "analytics.fct_message",
            "analytics.fct_number_change",
            "analytics.fct_send_attempt",
            "analytics.fct_status",
            "analytics.fct_window",
        ],
    ),
    *_to("analytics.fct_message", "message_key",
         many=["analytics.fct_cost", "analytics.fct_consent_event", "analytics.fct_send_attempt", "analytics.fct_status"]),
    *_to(
        "analytics.dim_contact",
        "contact_key",
        many=[
            "analytics.dim_group_member",
            "analytics.fct_account_event",
            "analytics.fct_call",
            "analytics.fct_message",
            "analytics.fct_status",
        ],
    ),
    *_to("analytics.dim_group", "phone_number_id", "group_id", many=["analytics.dim_group_member", "analytics.fct_message"]),
    *_to("analytics.dim_template", "waba_id", "template_name", "language", many=["analytics.fct_template_change"]),
)  # fmt: skip
"""By the keys that stand in the events. There are no foreign keys: events come in any order, and periods are dropped."""

ABOUT: Final = {
    "registry": "What operators declare.",
    "projector": "Read models, made from the log by the projector, and made anew from it by `parley rebuild`.",
    "sender": "What the sender keeps to send each command at most once.",
    "analytics": "Views for analysts, who read nothing else. Nobody can be recognised in them.",
}

_INTRODUCTION: Final = """\
<!-- Written by `make schema` from deploy/postgres/migrations and tools/entities_page.py. Edit those. -->

# Tables and views

What is in Postgres, as the migrations make it: a picture of each schema with the keys, then every column with what it means.
A line of a picture joins a table to one whose rows name it, by the columns that stand on the line; tables that stand by
themselves are not in it. There are no foreign keys behind the lines: events come in any order, so that a row may name
another that is not there yet. The statements themselves are in [schema.sql](../deploy/postgres/schema.sql), how they
change in [migrations.md](migrations.md).
"""


def text(found: Sequence[Entity]) -> str:
    """The whole page."""
    return "\n".join(_lines(found)).rstrip() + "\n"


def _lines(found: Sequence[Entity]) -> Iterator[str]:
    yield _INTRODUCTION
    for schema in SCHEMAS:
        own = [entity for entity in found if entity.schema == schema]
        yield f"- [{schema}](#{schema}): {', '.join(f'[{one.name}](#{_anchor(one)})' for one in own)}"
    yield ""
    for schema in SCHEMAS:
        yield f"## {schema}\n"
        yield f"{ABOUT[schema]}\n"
        yield from _picture([entity for entity in found if entity.schema == schema], schema)
        for entity in found:
            if entity.schema == schema:
                yield from _entity(entity)


def _picture(own: Sequence[Entity], schema: str) -> Iterator[str]:
    """What belongs together, by its keys, so that it can be read; what is joined from other schemas stands in it by name."""
    relations = [one for one in RELATIONS if schema in {one.one.partition(".")[0], one.many.partition(".")[0]}]
    joined = {column for one in relations for column in (*_named(one.one, one.of_one), *_named(one.many, one.by))}
    yield "```mermaid"
    yield "erDiagram"
    for entity in own:
        shown = [column for column in entity.columns if column.is_key or (entity.full_name, column.name) in joined]
        if entity.full_name in {name for name, _ in joined}:
            yield f'    {_node(entity.full_name)}["{entity.full_name}"] {{'
            yield from (f"        {_attribute(column)}" for column in shown)
            yield "    }"
    names = {entity.full_name for entity in own}
    for other in dict.fromkeys(name for one in relations for name in (one.one, one.many) if name not in names):
        yield f'    {_node(other)}["{other}"]'
    for one in relations:
        yield f'    {_node(one.one)} |o--o{{ {_node(one.many)} : "{", ".join(one.by)}"'
    yield "```\n"


def _named(entity: str, columns: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((entity, column) for column in columns)


def _node(full_name: str) -> str:
    return full_name.replace(".", "_")


def _attribute(column: Column) -> str:
    return f"{column.type.replace(' ', '_')} {column.name}{' PK' if column.is_key else ''}"


def _anchor(entity: Entity) -> str:
    return entity.full_name.replace(".", "")


def _entity(entity: Entity) -> Iterator[str]:
    yield f"### {entity.full_name}\n"
    yield f"{'View. ' if entity.is_view else ''}{entity.comment}\n"
    yield "| Column | Type | Meaning |"
    yield "| --- | --- | --- |"
    for column in entity.columns:
        name = f"**`{column.name}`**" if column.is_key else f"`{column.name}`"
        null = "" if entity.is_view or not column.is_nullable else " or null"
        yield f"| {name} | {column.type}{null} | {_cell(column.comment)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
