-- next_offsets --
-- Where to read on in each partition that was read before.
SELECT topic, partition, next_offset
FROM positions
WHERE projection = %(projection)s

-- hold_positions --
-- Lock the positions of a batch, in one order for everybody, so that one process at a time applies a partition.
SELECT held.topic, held.partition, held.next_offset
FROM positions AS held
JOIN unnest(%(topics)s::text[], %(partitions)s::int4[]) AS wanted (topic, partition)
    ON held.topic = wanted.topic AND held.partition = wanted.partition
WHERE held.projection = %(projection)s
ORDER BY held.topic, held.partition
FOR UPDATE OF held

-- begin_positions --
-- A partition that is read for the first time; another process may have begun it at the same moment.
INSERT INTO positions (projection, topic, partition, next_offset)
SELECT %(projection)s, begun.topic, begun.partition, begun.next_offset
FROM unnest(%(topics)s::text[], %(partitions)s::int4[], %(next_offsets)s::int8[]) AS begun (topic, partition, next_offset)
ON CONFLICT DO NOTHING

-- save_positions --
-- How far this transaction brings the tables, and of when the last record is.
UPDATE positions AS held
SET
    next_offset = reached.next_offset,
    last_record_at = coalesce(reached.last_record_at, held.last_record_at),
    written_at = clock_timestamp()
FROM unnest(%(topics)s::text[], %(partitions)s::int4[], %(next_offsets)s::int8[], %(last_record_at)s::timestamptz[])
    AS reached (topic, partition, next_offset, last_record_at)
WHERE held.projection = %(projection)s AND held.topic = reached.topic AND held.partition = reached.partition

-- schema_is_there --
-- Whether the tables exist and this role may write them.
SELECT to_regclass('dead_letters') IS NOT NULL
    AND has_table_privilege(to_regclass('dead_letters'), 'INSERT')
    AND has_table_privilege(to_regclass('positions'), 'UPDATE')

-- keep_months --
-- Make room for what grows by months, and drop what is older than this many.
SELECT added, dropped FROM projector.keep_months(%(kept)s)

-- room_until --
-- When the last month that every table has ends, in seconds of Unix time; 0 where one of them has none.
SELECT coalesce(min(t.until), 0)::bigint FROM (
    SELECT coalesce(
        max(extract(EPOCH FROM (to_date(substring(part.relname FROM '_(\d{6})$'), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC')), 0
    ) AS until
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhparent = c.oid
    LEFT JOIN pg_catalog.pg_class AS part ON part.oid = i.inhrelid
    WHERE c.relnamespace = 'projector'::regnamespace AND c.relkind = 'p' GROUP BY c.oid
) AS t

-- silence --
-- What Meta does not tell us of each business number. Numbers are as many as an operator declared.
SELECT phone_number_id, silent_last_hour, webhooks = 'stopped' AS is_stopped
FROM analytics.ops_number

-- unpriced --
-- What Meta bills and no rate is loaded for, of what was sent in the last hour.
SELECT coalesce(country, ''), lower(pricing_category), count(*)
FROM analytics.fct_cost
WHERE is_rate_unknown AND occurred_at >= now() - interval '1 hour'
GROUP BY 1, 2

-- stopped_templates --
-- Templates that nothing is sent with: paused ones while they are, disabled ones for a day, for that has no end.
SELECT DISTINCT waba_id, template_name, status
FROM analytics.dim_template
WHERE status = 'PAUSED' OR (status = 'DISABLED' AND changed_at >= now() - interval '1 day')
ORDER BY waba_id, template_name, status
LIMIT 1000

-- upsert_contacts --
-- Latest words, first and last sight. Statuses and sends that tell nothing new write nothing: rows only ever grow.
INSERT INTO contacts AS known (
    contact,
    bsuid,
    wa_id,
    wa_id_at,
    profile_name,
    profile_name_at,
    first_seen_at,
    last_seen_at,
    superseded_by,
    superseded_at,
    country
)
SELECT
    reported.contact,
    reported.bsuid,
    reported.wa_id,
    reported.wa_id_at,
    reported.profile_name,
    reported.profile_name_at,
    reported.first_seen_at,
    reported.last_seen_at,
    reported.superseded_by,
    reported.superseded_at,
    reported.country
FROM unnest(
    %(contact)s::text[],
    %(bsuid)s::text[],
    %(wa_id)s::text[],
    %(wa_id_at)s::timestamptz[],
    %(profile_name)s::text[],
    %(profile_name_at)s::timestamptz[],
    %(first_seen_at)s::timestamptz[],
    %(last_seen_at)s::timestamptz[],
    %(superseded_by)s::text[],
    %(superseded_at)s::timestamptz[],
    %(country)s::text[]
) AS reported (
    contact,
    bsuid,
    wa_id,
    wa_id_at,
    profile_name,
    profile_name_at,
    first_seen_at,
    last_seen_at,
    superseded_by,
    superseded_at,
    country
)
WHERE reported.last_seen_at IS NOT NULL
    OR reported.superseded_at IS NOT NULL
    OR reported.wa_id_at IS NOT NULL
    OR reported.profile_name_at IS NOT NULL
    OR NOT EXISTS (
        SELECT FROM contacts AS stored
        WHERE stored.contact = reported.contact
            AND stored.first_seen_at <= reported.first_seen_at
            AND (reported.bsuid IS NULL OR stored.bsuid >= reported.bsuid)
    )
ON CONFLICT (contact) DO UPDATE SET
    bsuid = greatest(known.bsuid, excluded.bsuid),
    wa_id = CASE WHEN known.wa_id_at IS NULL OR (excluded.wa_id_at, excluded.wa_id) > (known.wa_id_at, known.wa_id) THEN excluded.wa_id ELSE known.wa_id END,
    wa_id_at = CASE WHEN known.wa_id_at IS NULL OR (excluded.wa_id_at, excluded.wa_id) > (known.wa_id_at, known.wa_id) THEN excluded.wa_id_at ELSE known.wa_id_at END,
    profile_name = CASE WHEN known.profile_name_at IS NULL OR (excluded.profile_name_at, excluded.profile_name) > (known.profile_name_at, known.profile_name) THEN excluded.profile_name ELSE known.profile_name END,
    profile_name_at = CASE WHEN known.profile_name_at IS NULL OR (excluded.profile_name_at, excluded.profile_name) > (known.profile_name_at, known.profile_name) THEN excluded.profile_name_at ELSE known.profile_name_at END,
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
    superseded_by = CASE WHEN known.superseded_at IS NULL OR (excluded.superseded_at, excluded.superseded_by) > (known.superseded_at, known.superseded_by) THEN excluded.superseded_by ELSE known.superseded_by END,
    superseded_at = CASE WHEN known.superseded_at IS NULL OR (excluded.superseded_at, excluded.superseded_by) > (known.superseded_at, known.superseded_by) THEN excluded.superseded_at ELSE known.superseded_at END,
    country = excluded.country

-- upsert_contact_aliases --
-- First sight of each name of a contact; what tells nothing new writes nothing.
INSERT INTO contact_aliases AS known (
    alias,
    contact,
    first_seen_at
)
SELECT
    reported.alias,
    reported.contact,
    reported.first_seen_at
FROM unnest(
    %(alias)s::text[],
    %(contact)s::text[],
    %(first_seen_at)s::timestamptz[]
) AS reported (
    alias,
    contact,
    first_seen_at
)
WHERE NOT EXISTS (
    SELECT FROM contact_aliases AS stored
    WHERE stored.alias = reported.alias
        AND stored.contact = reported.contact
        AND stored.first_seen_at <= reported.first_seen_at
)
ON CONFLICT (alias, contact) DO UPDATE SET
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at)

-- upsert_contact_moves --
-- Each change of number once.
INSERT INTO contact_moves (
    alias,
    contact,
    moved_at
)
SELECT
    reported.alias,
    reported.contact,
    reported.moved_at
FROM unnest(
    %(alias)s::text[],
    %(contact)s::text[],
    %(moved_at)s::timestamptz[]
) AS reported (
    alias,
    contact,
    moved_at
)
ON CONFLICT DO NOTHING

-- upsert_conversations --
-- First and last word in each direction.
INSERT INTO conversations AS known (
    phone_number_id,
    contact,
    waba_id,
    first_inbound_at,
    last_inbound_at,
    last_outbound_at
)
SELECT
    reported.phone_number_id,
    reported.contact,
    reported.waba_id,
    reported.first_inbound_at,
    reported.last_inbound_at,
    reported.last_outbound_at
FROM unnest(
    %(phone_number_id)s::text[],
    %(contact)s::text[],
    %(waba_id)s::text[],
    %(first_inbound_at)s::timestamptz[],
    %(last_inbound_at)s::timestamptz[],
    %(last_outbound_at)s::timestamptz[]
) AS reported (
    phone_number_id,
    contact,
    waba_id,
    first_inbound_at,
    last_inbound_at,
    last_outbound_at
)
ON CONFLICT (phone_number_id, contact) DO UPDATE SET
    waba_id = least(known.waba_id, excluded.waba_id),
    first_inbound_at = least(known.first_inbound_at, excluded.first_inbound_at),
    last_inbound_at = greatest(known.last_inbound_at, excluded.last_inbound_at),
    last_outbound_at = greatest(known.last_outbound_at, excluded.last_outbound_at)

-- upsert_consents --
-- The last grant and the last withdrawal.
INSERT INTO consents AS known (
    phone_number_id,
    contact,
    category,
    granted_at,
    withdrawn_at
)
SELECT
    reported.phone_number_id,
    reported.contact,
    reported.category,
    reported.granted_at,
    reported.withdrawn_at
FROM unnest(
    %(phone_number_id)s::text[],
    %(contact)s::text[],
    %(category)s::text[],
    %(granted_at)s::timestamptz[],
    %(withdrawn_at)s::timestamptz[]
) AS reported (
    phone_number_id,
    contact,
    category,
    granted_at,
    withdrawn_at
)
ON CONFLICT (phone_number_id, contact, category) DO UPDATE SET
    granted_at = greatest(known.granted_at, excluded.granted_at),
    withdrawn_at = greatest(known.withdrawn_at, excluded.withdrawn_at)

-- upsert_consent_events --
-- One piece of evidence by its id; of two contents under one id always the same.
INSERT INTO consent_events AS known (
    consent_id,
    phone_number_id,
    contact,
    category,
    decision,
    source,
    wording,
    occurred_at,
    wamid
)
SELECT
    reported.consent_id,
    reported.phone_number_id,
    reported.contact,
    reported.category,
    reported.decision,
    reported.source,
    reported.wording,
    reported.occurred_at,
    reported.wamid
FROM unnest(
    %(consent_id)s::text[],
    %(phone_number_id)s::text[],
    %(contact)s::text[],
    %(category)s::text[],
    %(decision)s::text[],
    %(source)s::text[],
    %(wording)s::text[],
    %(occurred_at)s::timestamptz[],
    %(wamid)s::text[]
) AS reported (
    consent_id,
    phone_number_id,
    contact,
    category,
    decision,
    source,
    wording,
    occurred_at,
    wamid
)
ON CONFLICT (consent_id) DO UPDATE SET
    phone_number_id = excluded.phone_number_id,
    contact = excluded.contact,
    category = excluded.category,
    decision = excluded.decision,
    source = excluded.source,
    wording = excluded.wording,
    occurred_at = excluded.occurred_at,
    wamid = excluded.wamid
WHERE (excluded.occurred_at, excluded.phone_number_id, excluded.contact, excluded.category, excluded.decision, excluded.source, excluded.wording IS NULL, coalesce(excluded.wording, ''))
    < (known.occurred_at, known.phone_number_id, known.contact, known.category, known.decision, known.source, known.wording IS NULL, coalesce(known.wording, ''))

-- upsert_messages --
-- Everything known of a message: first description, first instant of each status, first failure, last pricing.
INSERT INTO messages AS known (
    wamid,
    direction,
    phone_number_id,
    waba_id,
    contact,
    is_copy,
    recorded_at,
    event_id,
    occurred_at,
    type,
    text,
    payload,
    context_wamid,
    group_id,
    raw,
    command_id,
    attempt_id,
    attempt_no,
    lane,
    template_name,
    accepted_at,
    field,
    sent_at,
    delivered_at,
    read_at,
    played_at,
    failed_at,
    error_code,
    error_title,
    priced_at,
    pricing_model,
    pricing_type,
    pricing_category
)
SELECT
    reported.wamid,
    reported.direction,
    reported.phone_number_id,
    reported.waba_id,
    reported.contact,
    reported.is_copy,
    reported.recorded_at,
    reported.event_id,
    reported.occurred_at,
    reported.type,
    reported.text,
    reported.payload,
    reported.context_wamid,
    reported.group_id,
    reported.raw,
    reported.command_id,
    reported.attempt_id,
    reported.attempt_no,
    reported.lane,
    reported.template_name,
    reported.accepted_at,
    reported.field,
    reported.sent_at,
    reported.delivered_at,
    reported.read_at,
    reported.played_at,
    reported.failed_at,
    reported.error_code,
    reported.error_title,
    reported.priced_at,
    reported.pricing_model,
    reported.pricing_type,
    reported.pricing_category
FROM unnest(
    %(wamid)s::text[],
    %(direction)s::text[],
    %(phone_number_id)s::text[],
    %(waba_id)s::text[],
    %(contact)s::text[],
    %(is_copy)s::bool[],
    %(recorded_at)s::timestamptz[],
    %(event_id)s::text[],
    %(occurred_at)s::timestamptz[],
    %(type)s::text[],
    %(text)s::text[],
    %(payload)s::text[],
    %(context_wamid)s::text[],
    %(group_id)s::text[],
    %(raw)s::text[],
    %(command_id)s::text[],
    %(attempt_id)s::text[],
    %(attempt_no)s::int4[],
    %(lane)s::text[],
    %(template_name)s::text[],
    %(accepted_at)s::timestamptz[],
    %(field)s::text[],
    %(sent_at)s::timestamptz[],
    %(delivered_at)s::timestamptz[],
    %(read_at)s::timestamptz[],
    %(played_at)s::timestamptz[],
    %(failed_at)s::timestamptz[],
    %(error_code)s::int4[],
    %(error_title)s::text[],
    %(priced_at)s::timestamptz[],
    %(pricing_model)s::text[],
    %(pricing_type)s::text[],
    %(pricing_category)s::text[]
) AS reported (
    wamid,
    direction,
    phone_number_id,
    waba_id,
    contact,
    is_copy,
    recorded_at,
    event_id,
    occurred_at,
    type,
    text,
    payload,
    context_wamid,
    group_id,
    raw,
    command_id,
    attempt_id,
    attempt_no,
    lane,
    template_name,
    accepted_at,
    field,
    sent_at,
    delivered_at,
    read_at,
    played_at,
    failed_at,
    error_code,
    error_title,
    priced_at,
    pricing_model,
    pricing_type,
    pricing_category
)
ON CONFLICT (wamid) DO UPDATE SET
    direction = least(known.direction, excluded.direction),
    phone_number_id = greatest(known.phone_number_id, excluded.phone_number_id),
    waba_id = least(known.waba_id, excluded.waba_id),
    contact = greatest(known.contact, excluded.contact),
    is_copy = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.is_copy ELSE known.is_copy END,
    recorded_at = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.recorded_at ELSE known.recorded_at END,
    event_id = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.event_id ELSE known.event_id END,
    occurred_at = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.occurred_at ELSE known.occurred_at END,
    type = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.type ELSE known.type END,
    text = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.text ELSE known.text END,
    payload = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.payload ELSE known.payload END,
    context_wamid = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.context_wamid ELSE known.context_wamid END,
    group_id = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.group_id ELSE known.group_id END,
    raw = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.raw ELSE known.raw END,
    command_id = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.command_id ELSE known.command_id END,
    attempt_id = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.attempt_id ELSE known.attempt_id END,
    attempt_no = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.attempt_no ELSE known.attempt_no END,
    lane = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.lane ELSE known.lane END,
    template_name = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.template_name ELSE known.template_name END,
    accepted_at = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.accepted_at ELSE known.accepted_at END,
    field = CASE WHEN known.event_id IS NULL OR (excluded.is_copy, excluded.recorded_at, excluded.event_id) < (known.is_copy, known.recorded_at, known.event_id) THEN excluded.field ELSE known.field END,
    sent_at = least(known.sent_at, excluded.sent_at),
    delivered_at = least(known.delivered_at, excluded.delivered_at),
    read_at = least(known.read_at, excluded.read_at),
    played_at = least(known.played_at, excluded.played_at),
    failed_at = least(known.failed_at, excluded.failed_at),
    error_code = CASE
        WHEN excluded.failed_at IS NULL THEN known.error_code
        WHEN known.failed_at IS NULL OR excluded.failed_at < known.failed_at THEN excluded.error_code
        WHEN excluded.failed_at = known.failed_at THEN least(known.error_code, excluded.error_code)
        ELSE known.error_code
    END,
    error_title = CASE
        WHEN excluded.failed_at IS NULL THEN known.error_title
        WHEN known.failed_at IS NULL OR excluded.failed_at < known.failed_at THEN excluded.error_title
        WHEN excluded.failed_at > known.failed_at THEN known.error_title
        WHEN excluded.error_code IS NOT DISTINCT FROM known.error_code THEN least(known.error_title, excluded.error_title)
        WHEN least(known.error_code, excluded.error_code) = excluded.error_code THEN excluded.error_title
        ELSE known.error_title
    END,
    priced_at = CASE WHEN known.priced_at IS NULL OR (excluded.priced_at, excluded.pricing_model, excluded.pricing_type, excluded.pricing_category) > (known.priced_at, known.pricing_model, known.pricing_type, known.pricing_category) THEN excluded.priced_at ELSE known.priced_at END,
    pricing_model = CASE WHEN known.priced_at IS NULL OR (excluded.priced_at, excluded.pricing_model, excluded.pricing_type, excluded.pricing_category) > (known.priced_at, known.pricing_model, known.pricing_type, known.pricing_category) THEN excluded.pricing_model ELSE known.pricing_model END,
    pricing_type = CASE WHEN known.priced_at IS NULL OR (excluded.priced_at, excluded.pricing_model, excluded.pricing_type, excluded.pricing_category) > (known.priced_at, known.pricing_model, known.pricing_type, known.pricing_category) THEN excluded.pricing_type ELSE known.pricing_type END,
    pricing_category = CASE WHEN known.priced_at IS NULL OR (excluded.priced_at, excluded.pricing_model, excluded.pricing_type, excluded.pricing_category) > (known.priced_at, known.pricing_model, known.pricing_type, known.pricing_category) THEN excluded.pricing_category ELSE known.pricing_category END

-- upsert_message_statuses --
-- Every report once: the delivery recorded first.
INSERT INTO message_statuses AS known (
    wamid,
    status,
    occurred_at,
    contact,
    type,
    event_id,
    recorded_at,
    phone_number_id,
    waba_id,
    biz_opaque_callback_data,
    error_code,
    error_title,
    pricing_model,
    pricing_type,
    pricing_category,
    pricing_billable,
    conversation_id,
    conversation_origin_type,
    conversation_expires_at,
    raw
)
SELECT
    reported.wamid,
    reported.status,
    reported.occurred_at,
    reported.contact,
    reported.type,
    reported.event_id,
    reported.recorded_at,
    reported.phone_number_id,
    reported.waba_id,
    reported.biz_opaque_callback_data,
    reported.error_code,
    reported.error_title,
    reported.pricing_model,
    reported.pricing_type,
    reported.pricing_category,
    reported.pricing_billable,
    reported.conversation_id,
    reported.conversation_origin_type,
    reported.conversation_expires_at,
    reported.raw
FROM unnest(
    %(wamid)s::text[],
    %(status)s::text[],
    %(occurred_at)s::timestamptz[],
    %(contact)s::text[],
    %(type)s::text[],
    %(event_id)s::text[],
    %(recorded_at)s::timestamptz[],
    %(phone_number_id)s::text[],
    %(waba_id)s::text[],
    %(biz_opaque_callback_data)s::text[],
    %(error_code)s::int4[],
    %(error_title)s::text[],
    %(pricing_model)s::text[],
    %(pricing_type)s::text[],
    %(pricing_category)s::text[],
    %(pricing_billable)s::bool[],
    %(conversation_id)s::text[],
    %(conversation_origin_type)s::text[],
    %(conversation_expires_at)s::timestamptz[],
    %(raw)s::text[]
) AS reported (
    wamid,
    status,
    occurred_at,
    contact,
    type,
    event_id,
    recorded_at,
    phone_number_id,
    waba_id,
    biz_opaque_callback_data,
    error_code,
    error_title,
    pricing_model,
    pricing_type,
    pricing_category,
    pricing_billable,
    conversation_id,
    conversation_origin_type,
    conversation_expires_at,
    raw
)
ON CONFLICT (wamid, status, occurred_at, contact, type) DO UPDATE SET
    event_id = excluded.event_id,
    recorded_at = excluded.recorded_at,
    phone_number_id = excluded.phone_number_id,
    waba_id = excluded.waba_id,
    biz_opaque_callback_data = excluded.biz_opaque_callback_data,
    error_code = excluded.error_code,
    error_title = excluded.error_title,
    pricing_model = excluded.pricing_model,
    pricing_type = excluded.pricing_type,
    pricing_category = excluded.pricing_category,
    pricing_billable = excluded.pricing_billable,
    conversation_id = excluded.conversation_id,
    conversation_origin_type = excluded.conversation_origin_type,
    conversation_expires_at = excluded.conversation_expires_at,
    raw = excluded.raw
WHERE (excluded.recorded_at, excluded.event_id) < (known.recorded_at, known.event_id)

-- upsert_send_outcomes --
-- One outcome by its id.
INSERT INTO send_outcomes (
    event_id,
    occurred_at,
    command_id,
    attempt_no,
    attempt_id,
    kind,
    lane,
    type,
    phone_number_id,
    waba_id,
    contact,
    addressed_to,
    wa_id,
    bsuid,
    wamid,
    template_name,
    reason,
    detail,
    error_code,
    source,
    trace_id,
    not_before_at,
    group_id,
    possible_duplicate,
    biz_opaque_callback_data
)
SELECT
    reported.event_id,
    reported.occurred_at,
    reported.command_id,
    reported.attempt_no,
    reported.attempt_id,
    reported.kind,
    reported.lane,
    reported.type,
    reported.phone_number_id,
    reported.waba_id,
    reported.contact,
    reported.addressed_to,
    reported.wa_id,
    reported.bsuid,
    reported.wamid,
    reported.template_name,
    reported.reason,
    reported.detail,
    reported.error_code,
    reported.source,
    reported.trace_id,
    reported.not_before_at,
    reported.group_id,
    reported.possible_duplicate,
    reported.biz_opaque_callback_data
FROM unnest(
    %(event_id)s::text[],
    %(occurred_at)s::timestamptz[],
    %(command_id)s::text[],
    %(attempt_no)s::int4[],
    %(attempt_id)s::text[],
    %(kind)s::text[],
    %(lane)s::text[],
    %(type)s::text[],
    %(phone_number_id)s::text[],
    %(waba_id)s::text[],
    %(contact)s::text[],
    %(addressed_to)s::text[],
    %(wa_id)s::text[],
    %(bsuid)s::text[],
    %(wamid)s::text[],
    %(template_name)s::text[],
    %(reason)s::text[],
    %(detail)s::text[],
    %(error_code)s::int4[],
    %(source)s::text[],
    %(trace_id)s::text[],
    %(not_before_at)s::timestamptz[],
    %(group_id)s::text[],
    %(possible_duplicate)s::bool[],
    %(biz_opaque_callback_data)s::text[]
) AS reported (
    event_id,
    occurred_at,
    command_id,
    attempt_no,
    attempt_id,
    kind,
    lane,
    type,
    phone_number_id,
    waba_id,
    contact,
    addressed_to,
    wa_id,
    bsuid,
    wamid,
    template_name,
    reason,
    detail,
    error_code,
    source,
    trace_id,
    not_before_at,
    group_id,
    possible_duplicate,
    biz_opaque_callback_data
)
ON CONFLICT DO NOTHING

-- upsert_account_events --
-- One content once: the delivery recorded first.
INSERT INTO account_events AS known (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    phone_number_id,
    field,
    pointer,
    raw,
    record,
    event,
    contact
)
SELECT
    reported.content_sha256,
    reported.event_id,
    reported.recorded_at,
    reported.occurred_at,
    reported.waba_id,
    reported.phone_number_id,
    reported.field,
    reported.pointer,
    reported.raw,
    reported.record,
    reported.event,
    reported.contact
FROM unnest(
    %(content_sha256)s::bytea[],
    %(event_id)s::text[],
    %(recorded_at)s::timestamptz[],
    %(occurred_at)s::timestamptz[],
    %(waba_id)s::text[],
    %(phone_number_id)s::text[],
    %(field)s::text[],
    %(pointer)s::text[],
    %(raw)s::text[],
    %(record)s::text[],
    %(event)s::text[],
    %(contact)s::text[]
) AS reported (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    phone_number_id,
    field,
    pointer,
    raw,
    record,
    event,
    contact
)
ON CONFLICT (content_sha256) DO UPDATE SET
    event_id = excluded.event_id,
    recorded_at = excluded.recorded_at,
    occurred_at = excluded.occurred_at,
    waba_id = excluded.waba_id,
    phone_number_id = excluded.phone_number_id,
    field = excluded.field,
    pointer = excluded.pointer,
    raw = excluded.raw,
    record = excluded.record,
    event = excluded.event,
    contact = excluded.contact
WHERE (excluded.recorded_at, excluded.event_id) < (known.recorded_at, known.event_id)

-- upsert_dead_letters --
-- One place in the log once: the first one recorded.
INSERT INTO dead_letters AS known (
    topic,
    partition,
    "offset",
    pointer,
    recorded_at,
    consumer_group,
    reason,
    error,
    record_key,
    record_value,
    headers
)
SELECT
    reported.topic,
    reported.partition,
    reported."offset",
    reported.pointer,
    reported.recorded_at,
    reported.consumer_group,
    reported.reason,
    reported.error,
    reported.record_key,
    reported.record_value,
    reported.headers::jsonb
FROM unnest(
    %(topic)s::text[],
    %(partition)s::int4[],
    %(offset)s::int8[],
    %(pointer)s::text[],
    %(recorded_at)s::timestamptz[],
    %(consumer_group)s::text[],
    %(reason)s::text[],
    %(error)s::text[],
    %(record_key)s::bytea[],
    %(record_value)s::bytea[],
    %(headers)s::text[]
) AS reported (
    topic,
    partition,
    "offset",
    pointer,
    recorded_at,
    consumer_group,
    reason,
    error,
    record_key,
    record_value,
    headers
)
ON CONFLICT (topic, partition, "offset", pointer) DO UPDATE SET
    recorded_at = excluded.recorded_at,
    consumer_group = excluded.consumer_group,
    reason = excluded.reason,
    error = excluded.error,
    record_key = excluded.record_key,
    record_value = excluded.record_value,
    headers = excluded.headers
WHERE (excluded.recorded_at, excluded.consumer_group, excluded.reason, excluded.error)
    < (known.recorded_at, known.consumer_group, known.reason, known.error)

-- upsert_templates --
-- The last word of each kind.
INSERT INTO templates AS known (
    waba_id,
    name,
    language,
    template_id,
    template_id_at,
    status,
    status_at,
    category,
    category_at,
    quality_score,
    quality_score_at,
    components_at
)
SELECT
    reported.waba_id,
    reported.name,
    reported.language,
    reported.template_id,
    reported.template_id_at,
    reported.status,
    reported.status_at,
    reported.category,
    reported.category_at,
    reported.quality_score,
    reported.quality_score_at,
    reported.components_at
FROM unnest(
    %(waba_id)s::text[],
    %(name)s::text[],
    %(language)s::text[],
    %(template_id)s::text[],
    %(template_id_at)s::timestamptz[],
    %(status)s::text[],
    %(status_at)s::timestamptz[],
    %(category)s::text[],
    %(category_at)s::timestamptz[],
    %(quality_score)s::text[],
    %(quality_score_at)s::timestamptz[],
    %(components_at)s::timestamptz[]
) AS reported (
    waba_id,
    name,
    language,
    template_id,
    template_id_at,
    status,
    status_at,
    category,
    category_at,
    quality_score,
    quality_score_at,
    components_at
)
ON CONFLICT (waba_id, name, language) DO UPDATE SET
    template_id = CASE WHEN known.template_id_at IS NULL OR (excluded.template_id_at, excluded.template_id) > (known.template_id_at, known.template_id) THEN excluded.template_id ELSE known.template_id END,
    template_id_at = CASE WHEN known.template_id_at IS NULL OR (excluded.template_id_at, excluded.template_id) > (known.template_id_at, known.template_id) THEN excluded.template_id_at ELSE known.template_id_at END,
    status = CASE WHEN known.status_at IS NULL OR (excluded.status_at, excluded.status) > (known.status_at, known.status) THEN excluded.status ELSE known.status END,
    status_at = CASE WHEN known.status_at IS NULL OR (excluded.status_at, excluded.status) > (known.status_at, known.status) THEN excluded.status_at ELSE known.status_at END,
    category = CASE WHEN known.category_at IS NULL OR (excluded.category_at, excluded.category) > (known.category_at, known.category) THEN excluded.category ELSE known.category END,
    category_at = CASE WHEN known.category_at IS NULL OR (excluded.category_at, excluded.category) > (known.category_at, known.category) THEN excluded.category_at ELSE known.category_at END,
    quality_score = CASE WHEN known.quality_score_at IS NULL OR (excluded.quality_score_at, excluded.quality_score) > (known.quality_score_at, known.quality_score) THEN excluded.quality_score ELSE known.quality_score END,
    quality_score_at = CASE WHEN known.quality_score_at IS NULL OR (excluded.quality_score_at, excluded.quality_score) > (known.quality_score_at, known.quality_score) THEN excluded.quality_score_at ELSE known.quality_score_at END,
    components_at = greatest(known.components_at, excluded.components_at)

-- upsert_messaging_limits --
-- The last word.
INSERT INTO messaging_limits AS known (
    waba_id,
    messaging_limit,
    told_at
)
SELECT
    reported.waba_id,
    reported.messaging_limit,
    reported.told_at
FROM unnest(
    %(waba_id)s::text[],
    %(messaging_limit)s::text[],
    %(told_at)s::timestamptz[]
) AS reported (
    waba_id,
    messaging_limit,
    told_at
)
ON CONFLICT (waba_id) DO UPDATE SET
    messaging_limit = excluded.messaging_limit,
    told_at = excluded.told_at
WHERE (excluded.told_at, excluded.messaging_limit) > (known.told_at, known.messaging_limit)

-- upsert_priced_conversations --
-- Everything known of what Meta counted as one conversation.
INSERT INTO priced_conversations AS known (
    conversation_id,
    phone_number_id,
    waba_id,
    contact,
    origin_type,
    first_status_at,
    expires_at,
    pricing_model,
    pricing_type,
    pricing_type_at,
    pricing_category,
    pricing_category_at,
    is_billable
)
SELECT
    reported.conversation_id,
    reported.phone_number_id,
    reported.waba_id,
    reported.contact,
    reported.origin_type,
    reported.first_status_at,
    reported.expires_at,
    reported.pricing_model,
    reported.pricing_type,
    reported.pricing_type_at,
    reported.pricing_category,
    reported.pricing_category_at,
    reported.is_billable
FROM unnest(
    %(conversation_id)s::text[],
    %(phone_number_id)s::text[],
    %(waba_id)s::text[],
    %(contact)s::text[],
    %(origin_type)s::text[],
    %(first_status_at)s::timestamptz[],
    %(expires_at)s::timestamptz[],
    %(pricing_model)s::text[],
    %(pricing_type)s::text[],
    %(pricing_type_at)s::timestamptz[],
    %(pricing_category)s::text[],
    %(pricing_category_at)s::timestamptz[],
    %(is_billable)s::bool[]
) AS reported (
    conversation_id,
    phone_number_id,
    waba_id,
    contact,
    origin_type,
    first_status_at,
    expires_at,
    pricing_model,
    pricing_type,
    pricing_type_at,
    pricing_category,
    pricing_category_at,
    is_billable
)
ON CONFLICT (conversation_id) DO UPDATE SET
    phone_number_id = greatest(known.phone_number_id, excluded.phone_number_id),
    waba_id = greatest(known.waba_id, excluded.waba_id),
    contact = greatest(known.contact, excluded.contact),
    origin_type = greatest(known.origin_type, excluded.origin_type),
    first_status_at = least(known.first_status_at, excluded.first_status_at),
    expires_at = greatest(known.expires_at, excluded.expires_at),
    pricing_model = least(known.pricing_model, excluded.pricing_model),
    pricing_type = CASE WHEN known.pricing_type_at IS NULL OR (excluded.pricing_type_at, excluded.pricing_type) > (known.pricing_type_at, known.pricing_type) THEN excluded.pricing_type ELSE known.pricing_type END,
    pricing_type_at = CASE WHEN known.pricing_type_at IS NULL OR (excluded.pricing_type_at, excluded.pricing_type) > (known.pricing_type_at, known.pricing_type) THEN excluded.pricing_type_at ELSE known.pricing_type_at END,
    pricing_category = CASE WHEN known.pricing_category_at IS NULL OR (excluded.pricing_category_at, excluded.pricing_category) > (known.pricing_category_at, known.pricing_category) THEN excluded.pricing_category ELSE known.pricing_category END,
    pricing_category_at = CASE WHEN known.pricing_category_at IS NULL OR (excluded.pricing_category_at, excluded.pricing_category) > (known.pricing_category_at, known.pricing_category) THEN excluded.pricing_category_at ELSE known.pricing_category_at END,
    is_billable = greatest(known.is_billable, excluded.is_billable)

-- upsert_template_changes --
-- One content once: the delivery recorded first.
INSERT INTO template_changes AS known (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    template_id,
    template_name,
    template_language,
    field,
    event,
    category,
    previous_category,
    correct_category,
    category_update_at,
    previous_quality_score,
    new_quality_score,
    reason,
    recommendation,
    disable_date
)
SELECT
    reported.content_sha256,
    reported.event_id,
    reported.recorded_at,
    reported.occurred_at,
    reported.waba_id,
    reported.template_id,
    reported.template_name,
    reported.template_language,
    reported.field,
    reported.event,
    reported.category,
    reported.previous_category,
    reported.correct_category,
    reported.category_update_at,
    reported.previous_quality_score,
    reported.new_quality_score,
    reported.reason,
    reported.recommendation,
    reported.disable_date
FROM unnest(
    %(content_sha256)s::bytea[],
    %(event_id)s::text[],
    %(recorded_at)s::timestamptz[],
    %(occurred_at)s::timestamptz[],
    %(waba_id)s::text[],
    %(template_id)s::text[],
    %(template_name)s::text[],
    %(template_language)s::text[],
    %(field)s::text[],
    %(event)s::text[],
    %(category)s::text[],
    %(previous_category)s::text[],
    %(correct_category)s::text[],
    %(category_update_at)s::timestamptz[],
    %(previous_quality_score)s::text[],
    %(new_quality_score)s::text[],
    %(reason)s::text[],
    %(recommendation)s::text[],
    %(disable_date)s::text[]
) AS reported (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    template_id,
    template_name,
    template_language,
    field,
    event,
    category,
    previous_category,
    correct_category,
    category_update_at,
    previous_quality_score,
    new_quality_score,
    reason,
    recommendation,
    disable_date
)
ON CONFLICT (content_sha256) DO UPDATE SET
    event_id = excluded.event_id,
    recorded_at = excluded.recorded_at,
    occurred_at = excluded.occurred_at,
    waba_id = excluded.waba_id,
    template_id = excluded.template_id,
    template_name = excluded.template_name,
    template_language = excluded.template_language,
    field = excluded.field,
    event = excluded.event,
    category = excluded.category,
    previous_category = excluded.previous_category,
    correct_category = excluded.correct_category,
    category_update_at = excluded.category_update_at,
    previous_quality_score = excluded.previous_quality_score,
    new_quality_score = excluded.new_quality_score,
    reason = excluded.reason,
    recommendation = excluded.recommendation,
    disable_date = excluded.disable_date
WHERE (excluded.recorded_at, excluded.event_id) < (known.recorded_at, known.event_id)

-- upsert_phone_number_changes --
-- One content once: the delivery recorded first.
INSERT INTO phone_number_changes AS known (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    phone_number_id,
    display_phone_number,
    field,
    event,
    messaging_limit,
    previous_limit,
    messages_per_second,
    requested_verified_name,
    decision,
    rejection_reason,
    username,
    status,
    calling_status
)
SELECT
    reported.content_sha256,
    reported.event_id,
    reported.recorded_at,
    reported.occurred_at,
    reported.waba_id,
    reported.phone_number_id,
    reported.display_phone_number,
    reported.field,
    reported.event,
    reported.messaging_limit,
    reported.previous_limit,
    reported.messages_per_second,
    reported.requested_verified_name,
    reported.decision,
    reported.rejection_reason,
    reported.username,
    reported.status,
    reported.calling_status
FROM unnest(
    %(content_sha256)s::bytea[],
    %(event_id)s::text[],
    %(recorded_at)s::timestamptz[],
    %(occurred_at)s::timestamptz[],
    %(waba_id)s::text[],
    %(phone_number_id)s::text[],
    %(display_phone_number)s::text[],
    %(field)s::text[],
    %(event)s::text[],
    %(messaging_limit)s::text[],
    %(previous_limit)s::text[],
    %(messages_per_second)s::int4[],
    %(requested_verified_name)s::text[],
    %(decision)s::text[],
    %(rejection_reason)s::text[],
    %(username)s::text[],
    %(status)s::text[],
    %(calling_status)s::text[]
) AS reported (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    phone_number_id,
    display_phone_number,
    field,
    event,
    messaging_limit,
    previous_limit,
    messages_per_second,
    requested_verified_name,
    decision,
    rejection_reason,
    username,
    status,
    calling_status
)
ON CONFLICT (content_sha256) DO UPDATE SET
    event_id = excluded.event_id,
    recorded_at = excluded.recorded_at,
    occurred_at = excluded.occurred_at,
    waba_id = excluded.waba_id,
    phone_number_id = excluded.phone_number_id,
    display_phone_number = excluded.display_phone_number,
    field = excluded.field,
    event = excluded.event,
    messaging_limit = excluded.messaging_limit,
    previous_limit = excluded.previous_limit,
    messages_per_second = excluded.messages_per_second,
    requested_verified_name = excluded.requested_verified_name,
    decision = excluded.decision,
    rejection_reason = excluded.rejection_reason,
    username = excluded.username,
    status = excluded.status,
    calling_status = excluded.calling_status
WHERE (excluded.recorded_at, excluded.event_id) < (known.recorded_at, known.event_id)

-- upsert_flow_changes --
-- One content once: the delivery recorded first.
INSERT INTO flow_changes AS known (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    flow_id,
    event,
    previous_status,
    status,
    alert_state,
    threshold,
    error_rate,
    availability,
    p50_latency,
    p90_latency,
    requests_count,
    message
)
SELECT
    reported.content_sha256,
    reported.event_id,
    reported.recorded_at,
    reported.occurred_at,
    reported.waba_id,
    reported.flow_id,
    reported.event,
    reported.previous_status,
    reported.status,
    reported.alert_state,
    reported.threshold,
    reported.error_rate,
    reported.availability,
    reported.p50_latency,
    reported.p90_latency,
    reported.requests_count,
    reported.message
FROM unnest(
    %(content_sha256)s::bytea[],
    %(event_id)s::text[],
    %(recorded_at)s::timestamptz[],
    %(occurred_at)s::timestamptz[],
    %(waba_id)s::text[],
    %(flow_id)s::text[],
    %(event)s::text[],
    %(previous_status)s::text[],
    %(status)s::text[],
    %(alert_state)s::text[],
    %(threshold)s::float8[],
    %(error_rate)s::float8[],
    %(availability)s::float8[],
    %(p50_latency)s::float8[],
    %(p90_latency)s::float8[],
    %(requests_count)s::int8[],
    %(message)s::text[]
) AS reported (
    content_sha256,
    event_id,
    recorded_at,
    occurred_at,
    waba_id,
    flow_id,
    event,
    previous_status,
    status,
    alert_state,
    threshold,
    error_rate,
    availability,
    p50_latency,
    p90_latency,
    requests_count,
    message
)
ON CONFLICT (content_sha256) DO UPDATE SET
    event_id = excluded.event_id,
    recorded_at = excluded.recorded_at,
    occurred_at = excluded.occurred_at,
    waba_id = excluded.waba_id,
    flow_id = excluded.flow_id,
    event = excluded.event,
    previous_status = excluded.previous_status,
    status = excluded.status,
    alert_state = excluded.alert_state,
    threshold = excluded.threshold,
    error_rate = excluded.error_rate,
    availability = excluded.availability,
    p50_latency = excluded.p50_latency,
    p90_latency = excluded.p90_latency,
    requests_count = excluded.requests_count,
    message = excluded.message
WHERE (excluded.recorded_at, excluded.event_id) < (known.recorded_at, known.event_id)

-- upsert_calls --
-- Everything known of a call: the first instant of each kind.
INSERT INTO calls AS known (
    wacid,
    phone_number_id,
    waba_id,
    contact,
    direction,
    connected_at,
    ringing_at,
    accepted_at,
    rejected_at,
    terminated_at,
    termination,
    started_at,
    ended_at,
    duration_seconds,
    error_code,
    biz_opaque_callback_data,
    cta_payload,
    deeplink_payload,
    recording_at
)
SELECT
    reported.wacid,
    reported.phone_number_id,
    reported.waba_id,
    reported.contact,
    reported.direction,
    reported.connected_at,
    reported.ringing_at,
    reported.accepted_at,
    reported.rejected_at,
    reported.terminated_at,
    reported.termination,
    reported.started_at,
    reported.ended_at,
    reported.duration_seconds,
    reported.error_code,
    reported.biz_opaque_callback_data,
    reported.cta_payload,
    reported.deeplink_payload,
    reported.recording_at
FROM unnest(
    %(wacid)s::text[],
    %(phone_number_id)s::text[],
    %(waba_id)s::text[],
    %(contact)s::text[],
    %(direction)s::text[],
    %(connected_at)s::timestamptz[],
    %(ringing_at)s::timestamptz[],
    %(accepted_at)s::timestamptz[],
    %(rejected_at)s::timestamptz[],
    %(terminated_at)s::timestamptz[],
    %(termination)s::text[],
    %(started_at)s::timestamptz[],
    %(ended_at)s::timestamptz[],
    %(duration_seconds)s::int8[],
    %(error_code)s::int4[],
    %(biz_opaque_callback_data)s::text[],
    %(cta_payload)s::text[],
    %(deeplink_payload)s::text[],
    %(recording_at)s::timestamptz[]
) AS reported (
    wacid,
    phone_number_id,
    waba_id,
    contact,
    direction,
    connected_at,
    ringing_at,
    accepted_at,
    rejected_at,
    terminated_at,
    termination,
    started_at,
    ended_at,
    duration_seconds,
    error_code,
    biz_opaque_callback_data,
    cta_payload,
    deeplink_payload,
    recording_at
)
ON CONFLICT (wacid) DO UPDATE SET
    phone_number_id = greatest(known.phone_number_id, excluded.phone_number_id),
    waba_id = greatest(known.waba_id, excluded.waba_id),
    contact = greatest(known.contact, excluded.contact),
    direction = greatest(known.direction, excluded.direction),
    connected_at = least(known.connected_at, excluded.connected_at),
    ringing_at = least(known.ringing_at, excluded.ringing_at),
    accepted_at = least(known.accepted_at, excluded.accepted_at),
    rejected_at = least(known.rejected_at, excluded.rejected_at),
    terminated_at = least(known.terminated_at, excluded.terminated_at),
    termination = greatest(known.termination, excluded.termination),
    started_at = least(known.started_at, excluded.started_at),
    ended_at = greatest(known.ended_at, excluded.ended_at),
    duration_seconds = greatest(known.duration_seconds, excluded.duration_seconds),
    error_code = greatest(known.error_code, excluded.error_code),
    biz_opaque_callback_data = greatest(known.biz_opaque_callback_data, excluded.biz_opaque_callback_data),
    cta_payload = greatest(known.cta_payload, excluded.cta_payload),
    deeplink_payload = greatest(known.deeplink_payload, excluded.deeplink_payload),
    recording_at = least(known.recording_at, excluded.recording_at)

-- upsert_groups --
-- The first instants, and each setting as last told.
INSERT INTO groups AS known (
    phone_number_id,
    group_id,
    waba_id,
    created_at,
    deleted_at,
    subject,
    subject_at,
    description,
    description_at,
    invite_link,
    invite_link_at,
    join_approval_mode,
    join_approval_mode_at,
    suspension,
    suspension_at
)
SELECT
    reported.phone_number_id,
    reported.group_id,
    reported.waba_id,
    reported.created_at,
    reported.deleted_at,
    reported.subject,
    reported.subject_at,
    reported.description,
    reported.description_at,
    reported.invite_link,
    reported.invite_link_at,
    reported.join_approval_mode,
    reported.join_approval_mode_at,
    reported.suspension,
    reported.suspension_at
FROM unnest(
    %(phone_number_id)s::text[],
    %(group_id)s::text[],
    %(waba_id)s::text[],
    %(created_at)s::timestamptz[],
    %(deleted_at)s::timestamptz[],
    %(subject)s::text[],
    %(subject_at)s::timestamptz[],
    %(description)s::text[],
    %(description_at)s::timestamptz[],
    %(invite_link)s::text[],
    %(invite_link_at)s::timestamptz[],
    %(join_approval_mode)s::text[],
    %(join_approval_mode_at)s::timestamptz[],
    %(suspension)s::text[],
    %(suspension_at)s::timestamptz[]
) AS reported (
    phone_number_id,
    group_id,
    waba_id,
    created_at,
    deleted_at,
    subject,
    subject_at,
    description,
    description_at,
    invite_link,
    invite_link_at,
    join_approval_mode,
    join_approval_mode_at,
    suspension,
    suspension_at
)
ON CONFLICT (phone_number_id, group_id) DO UPDATE SET
    waba_id = greatest(known.waba_id, excluded.waba_id),
    created_at = least(known.created_at, excluded.created_at),
    deleted_at = least(known.deleted_at, excluded.deleted_at),
    subject = CASE WHEN known.subject_at IS NULL OR (excluded.subject_at, excluded.subject) > (known.subject_at, known.subject) THEN excluded.subject ELSE known.subject END,
    subject_at = CASE WHEN known.subject_at IS NULL OR (excluded.subject_at, excluded.subject) > (known.subject_at, known.subject) THEN excluded.subject_at ELSE known.subject_at END,
    description = CASE WHEN known.description_at IS NULL OR (excluded.description_at, excluded.description) > (known.description_at, known.description) THEN excluded.description ELSE known.description END,
    description_at = CASE WHEN known.description_at IS NULL OR (excluded.description_at, excluded.description) > (known.description_at, known.description) THEN excluded.description_at ELSE known.description_at END,
    invite_link = CASE WHEN known.invite_link_at IS NULL OR (excluded.invite_link_at, excluded.invite_link) > (known.invite_link_at, known.invite_link) THEN excluded.invite_link ELSE known.invite_link END,
    invite_link_at = CASE WHEN known.invite_link_at IS NULL OR (excluded.invite_link_at, excluded.invite_link) > (known.invite_link_at, known.invite_link) THEN excluded.invite_link_at ELSE known.invite_link_at END,
    join_approval_mode = CASE WHEN known.join_approval_mode_at IS NULL OR (excluded.join_approval_mode_at, excluded.join_approval_mode) > (known.join_approval_mode_at, known.join_approval_mode) THEN excluded.join_approval_mode ELSE known.join_approval_mode END,
    join_approval_mode_at = CASE WHEN known.join_approval_mode_at IS NULL OR (excluded.join_approval_mode_at, excluded.join_approval_mode) > (known.join_approval_mode_at, known.join_approval_mode) THEN excluded.join_approval_mode_at ELSE known.join_approval_mode_at END,
    suspension = CASE WHEN known.suspension_at IS NULL OR (excluded.suspension_at, excluded.suspension) > (known.suspension_at, known.suspension) THEN excluded.suspension ELSE known.suspension END,
    suspension_at = CASE WHEN known.suspension_at IS NULL OR (excluded.suspension_at, excluded.suspension) > (known.suspension_at, known.suspension) THEN excluded.suspension_at ELSE known.suspension_at END

-- upsert_group_members --
-- The last time in and the last time out.
INSERT INTO group_members AS known (
    phone_number_id,
    group_id,
    contact,
    added_at,
    removed_at
)
SELECT
    reported.phone_number_id,
    reported.group_id,
    reported.contact,
    reported.added_at,
    reported.removed_at
FROM unnest(
    %(phone_number_id)s::text[],
    %(group_id)s::text[],
    %(contact)s::text[],
    %(added_at)s::timestamptz[],
    %(removed_at)s::timestamptz[]
) AS reported (
    phone_number_id,
    group_id,
    contact,
    added_at,
    removed_at
)
ON CONFLICT (phone_number_id, group_id, contact) DO UPDATE SET
    added_at = greatest(known.added_at, excluded.added_at),
    removed_at = greatest(known.removed_at, excluded.removed_at)
