"""Which metrics do we expose? All of them are declared here, once, with help text and label sets."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

WEBHOOK_REQUESTS: Final = Counter(
    "parley_webhook_requests_total", "Webhook requests by answer: accepted, or the reason it was not", ["app", "outcome"]
)
WEBHOOK_APPEND_SECONDS: Final = Histogram(
    "parley_webhook_append_seconds", "From the whole body read to the brokers' acknowledgement", buckets=_FAST
)
WEBHOOK_INFLIGHT_BYTES: Final = Gauge("parley_webhook_inflight_bytes", "Bytes handed to the producer and not yet acknowledged")
BREAKER_OPEN: Final = Gauge("parley_breaker_open", "1 while requests are refused without trying the log")

WEBHOOK_CONNECTIONS: Final = Gauge("parley_webhook_connections", "Open connections on the webhook port")
WEBHOOK_CONNECTIONS_CLOSED: Final = Counter(
    "parley_webhook_connections_closed_total", "Connections that we refused or ended, by the limit they broke", ["reason"]
)

SECRETS_UNREADABLE: Final = Gauge(
    "parley_secrets_unreadable", "1 while files of secrets have changed and cannot be taken over: the last good ones are in use"
)

CLOCK_BEHIND_SECONDS: Final = Gauge(
    "parley_clock_behind_seconds",
    "How far the machine's clock was set back while this process ran, which goes on by the time it knew; 0 normally",
)

RECORDS_PROCESSED: Final = Counter("parley_records_processed_total", "Records whose effect is durable", ["group", "topic"])
RECORDS_SKIPPED: Final = Counter(
    "parley_records_skipped_total", "Redelivered records skipped because their effect was already durable", ["group"]
)
RECORD_AGE_SECONDS: Final = Histogram(
    "parley_record_age_seconds",
    "Now minus the record's append time, when its effect became durable",
    ["group"],
    buckets=(*_FAST, 60.0, 600.0),
)
STOPPED: Final = Gauge(
    "parley_stopped",
    "1 while a reader shows that it has stopped for good, before it ends: see docs/stops.md. Restarting it does not help",
    ["group", "reason"],
)
CONSUMER_LAG: Final = Gauge("parley_consumer_lag_records", "Records of assigned partitions not yet processed", ["group"])
OLDEST_UNPROCESSED_SECONDS: Final = Gauge(
    "parley_oldest_unprocessed_seconds",
    "Age of the oldest record of assigned partitions whose effect is not durable, from its append time; 0 when there is none",
    ["group", "topic"],
)
KAFKA_ANSWERS: Final = Gauge(
    "parley_kafka_answers", "1 while the broker that coordinates the group answers, 0 while none does", ["group"]
)
DEAD_LETTERS: Final = Counter("parley_dead_letters_total", "Records or elements set aside", ["group", "reason"])
ROUTED_COPIES: Final = Counter("parley_routed_copies_total", "Copies made by the rules of PARLEY_ROUTES_FILE", ["route"])
TOMBSTONES: Final = Counter("parley_tombstones_total", "Records without a value where commands are read: ignored", ["group"])
IGNORED_FIELDS: Final = Counter("parley_ignored_fields_total", "Fields of send-commands in JSON that no schema has")
PARKED_COMMANDS: Final = Counter("parley_parked_commands_total", "Commands of a later schema, kept for a router that knows it")
REOPENED_COMMANDS: Final = Counter(
    "parley_reopened_commands_total", "Parked commands that were read anew: back among the commands, or parked again", ["outcome"]
)
EMPTY_WEBHOOKS: Final = Counter("parley_empty_webhooks_total", "Webhooks without any element")
UNRECOGNIZED: Final = Counter("parley_unrecognized_changes_total", "Elements kept as UnrecognizedChange", ["field"])
POSTGRES_RETRIES: Final = Counter("parley_postgres_retries_total", "Transactions repeated after a transient error", ["service"])
POSTGRES_DISK_FULL: Final = Gauge(
    "parley_postgres_disk_full", "1 while Postgres has no room for what is to be written: it is tried again", ["service"]
)
SILENT_MESSAGES: Final = Gauge(
    "parley_silent_messages",
    "Messages that became silent in the last hour: accepted, and no status for longer than registry.silence allows, by Meta's id "
    "of the business number. Every projector tells the same; nothing of numbers that have none",
    ["phone_number_id"],
)
WEBHOOKS_STOPPED: Final = Gauge(
    "parley_webhooks_stopped",
    "1 for each business number, by Meta's id, that messages were accepted from and of which nothing came since for longer than "
    "registry.silence allows. Every projector tells the same; nothing of other numbers",
    ["phone_number_id"],
)

UNPRICED_MESSAGES: Final = Gauge(
    "parley_unpriced_messages",
    "Messages of the last hour that Meta bills and no rate is loaded for. Every projector tells the same; nothing of others",
    ["country", "category"],
)
TEMPLATES_STOPPED: Final = Gauge(
    "parley_templates_stopped",
    "1 for each template that Meta has paused, or disabled in the last day. Every projector tells the same; nothing of others",
    ["waba_id", "template", "status"],
)
ROOM_UNTIL_SECONDS: Final = Gauge(
    "parley_room_until_seconds", "Unix time at which the last part ends that was made for rows to come", ["service"]
)

SEND_DECISIONS: Final = Counter("parley_send_decisions_total", "Decisions of the gate", ["decision", "reason"])
SEND_OUTCOMES: Final = Counter("parley_send_outcomes_total", "Outcomes written", ["kind", "reason"])
GRAPH_REQUESTS: Final = Counter("parley_graph_requests_total", "Calls to the Graph API by what the exchange proved", ["outcome"])
GRAPH_REQUEST_SECONDS: Final = Histogram("parley_graph_request_seconds", "First byte written to answer read", buckets=_FAST)
SEND_LATENCY_SECONDS: Final = Histogram(
    "parley_send_latency_seconds", "Command appended to first byte written to Graph", buckets=(*_FAST, 60.0, 600.0)
)
RATE_LIMIT_WAIT_SECONDS: Final = Histogram("parley_rate_limit_wait_seconds", "Waited for the number's token", buckets=_FAST)
JITTER_SECONDS: Final = Histogram(
    "parley_sender_jitter_seconds",
    "J: by how much delays to Meta are taken to vary, each time one of the numbers has measured it",
    buckets=(0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05),
)
STARTED_SECONDS: Final = Histogram("parley_send_started_seconds", "Gate and STARTED transaction", buckets=_FAST)
INBOUND_DEBITED: Final = Counter(
    "parley_sender_inbound_total", "Messages that any number received, as charged to the limits of those this process sends for"
)
THROTTLED: Final = Counter(
    "parley_sender_throttled_total", "Attempts that Meta put off for a limit, by what the limit is of", ["scope"]
)
LATE_WRITES: Final = Counter("parley_late_writes_total", "Attempts given up because STARTED was too old at the socket write")
SENDS_OPEN: Final = Gauge("parley_sends_open", "Attempts without an answer: started, unknown, unresolved", ["state"])
SEND_COMMANDS_REPEATED: Final = Counter(
    "parley_send_commands_repeated_total", "Commands whose id was known: same content, or a conflict", ["outcome"]
)
FALSE_REJECTIONS: Final = Counter(
    "parley_false_rejections_total",
    "Attempts that were taken for not accepted although Meta had them, by what was thought of them and Graph's code",
    ["outcome", "code"],
)
DUPLICATE_SENDS: Final = Counter("parley_duplicate_sends_total", "Commands of which Meta accepted a second attempt")
MEDIA_PREPARED: Final = Counter(
    "parley_media_prepared_total", "Media of commands: ready, refused for good, or failed for now", ["outcome"]
)
MEDIA_BYTES: Final = Counter("parley_media_uploaded_bytes_total", "Bytes of media that Meta took")
MEDIA_UPLOAD_SECONDS: Final = Histogram(
    "parley_media_upload_seconds", "One upload, from its first byte to its id in Postgres", buckets=(*_FAST, 30.0, 60.0, 120.0)
)
NUMBERS_STOPPED: Final = Gauge(
    "parley_sender_numbers_stopped",
    "1 for each number, by Meta's id, that this process sends for and of which Meta lets something not be sent, and each reason. "
    "access_token is one too where the token cannot be read. Nothing of other numbers",
    ["phone_number_id", "reason"],
)
STOPS: Final = Counter("parley_sender_stops_total", "Changes of what Meta lets numbers and accounts send", ["state", "reason"])
TEMPLATE_POLLS: Final = Counter(
    "parley_template_polls_total", "Reads of an account's list of templates: complete, failed, throttled", ["outcome"]
)
SHARDS_OWNED: Final = Gauge("parley_sender_shards_owned", "Partitions of sends.* this process may send for")
BUILD_INFO: Final = Gauge("parley_build_info", "1; the version is in the label", ["version", "service"])
READY: Final = Gauge("parley_ready", "1 while /ready says yes", ["service"])
