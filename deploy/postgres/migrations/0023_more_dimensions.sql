-- People, groups and calls as keys; every status; and what changed of templates, flows, numbers and accounts.
-- A change without Meta's instant has ours as occurred_at, so that a span of time leaves no change out.

CREATE VIEW analytics.dim_contact AS
SELECT
    encode(sha256(k.secret || convert_to(c.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    c.first_seen_at,
    c.last_seen_at,
    EXISTS (SELECT FROM projector.contact_aliases AS a WHERE a.contact = c.contact AND a.alias ~ '^[0-9]+$') AS has_number,
    EXISTS (SELECT FROM projector.contact_aliases AS a WHERE a.contact = c.contact AND a.alias ~ '^[A-Z]{2}[.]') AS has_user_id,
    (SELECT max(m.moved_at) FROM projector.contact_moves AS m WHERE m.contact = c.contact) AS number_given_up_at,
    encode(sha256(k.secret || convert_to(c.superseded_by, 'UTF8')), 'hex') AS superseded_by_contact_key,
    c.superseded_at
FROM projector.contacts AS c
CROSS JOIN registry.contact_secret AS k;
COMMENT ON VIEW analytics.dim_contact IS 'People as they are known now, one row a key; somebody who was met under a number before Meta gave a user id may have two';
COMMENT ON COLUMN analytics.dim_contact.contact_key IS 'The person, the same key in every table';
COMMENT ON COLUMN analytics.dim_contact.country IS 'ISO 3166-1 alpha-2, as the number or user id tells it; null where it tells none';
COMMENT ON COLUMN analytics.dim_contact.first_seen_at IS 'The first event of any kind that named the person';
COMMENT ON COLUMN analytics.dim_contact.last_seen_at IS 'The last message from the person; null when there was none';
COMMENT ON COLUMN analytics.dim_contact.has_number IS 'Whether the person was ever met under a phone number';
COMMENT ON COLUMN analytics.dim_contact.has_user_id IS 'Whether Meta ever gave a business-scoped user id';
COMMENT ON COLUMN analytics.dim_contact.number_given_up_at IS 'When the person last changed the phone number; null when Meta told of no change';
COMMENT ON COLUMN analytics.dim_contact.superseded_by_contact_key IS 'The key that this one became: the same person under a new number or user id';
COMMENT ON COLUMN analytics.dim_contact.superseded_at IS 'When it became that one';

CREATE VIEW analytics.dim_group AS
SELECT
    g.phone_number_id,
    g.group_id,
    g.waba_id,
    g.created_at,
    g.deleted_at,
    g.join_approval_mode,
    g.suspension,
    g.suspension_at,
    coalesce(m.members, 0) AS members,
    coalesce(m.members_ever, 0) AS members_ever
FROM projector.groups AS g
LEFT JOIN (
    SELECT
        phone_number_id,
        group_id,
        count(*) FILTER (WHERE added_at IS NOT NULL AND (removed_at IS NULL OR added_at > removed_at)) AS members,
        count(*) AS members_ever
    FROM projector.group_members
    GROUP BY phone_number_id, group_id
) AS m ON m.phone_number_id = g.phone_number_id AND m.group_id = g.group_id;
COMMENT ON VIEW analytics.dim_group IS 'Groups of business numbers as they are now: settings as last told, and how many are in them';
COMMENT ON COLUMN analytics.dim_group.phone_number_id IS 'Meta''s id of the business number that the group is of';
COMMENT ON COLUMN analytics.dim_group.group_id IS 'Meta''s id of the group';
COMMENT ON COLUMN analytics.dim_group.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.dim_group.created_at IS 'When it was created; null when that was not told';
COMMENT ON COLUMN analytics.dim_group.deleted_at IS 'When it was deleted; null while it exists';
COMMENT ON COLUMN analytics.dim_group.join_approval_mode IS 'Meta''s word: whether somebody has to let people in';
COMMENT ON COLUMN analytics.dim_group.suspension IS 'suspended or cleared, as last told; null when neither was';
COMMENT ON COLUMN analytics.dim_group.suspension_at IS 'When that was told';
COMMENT ON COLUMN analytics.dim_group.members IS 'How many people are in it, as Meta told of them coming and going';
COMMENT ON COLUMN analytics.dim_group.members_ever IS 'How many people are or were in it';

CREATE VIEW analytics.dim_group_member AS
SELECT
    m.phone_number_id,
    m.group_id,
    encode(sha256(k.secret || convert_to(m.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    m.added_at,
    m.removed_at,
    m.added_at IS NOT NULL AND (m.removed_at IS NULL OR m.added_at > m.removed_at) AS is_member
FROM projector.group_members AS m
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = m.contact;
COMMENT ON VIEW analytics.dim_group_member IS 'Who is and was in a group, as keys: the last time in and the last time out';
COMMENT ON COLUMN analytics.dim_group_member.phone_number_id IS 'Meta''s id of the business number that the group is of';
COMMENT ON COLUMN analytics.dim_group_member.group_id IS 'Meta''s id of the group';
COMMENT ON COLUMN analytics.dim_group_member.contact_key IS 'The person, as in dim_contact';
COMMENT ON COLUMN analytics.dim_group_member.country IS 'ISO 3166-1 alpha-2 of that person; null where only the group named them';
COMMENT ON COLUMN analytics.dim_group_member.added_at IS 'The last time that they came in; null when only their leaving was told';
COMMENT ON COLUMN analytics.dim_group_member.removed_at IS 'The last time that they left or were removed; null when they never did';
COMMENT ON COLUMN analytics.dim_group_member.is_member IS 'Whether they are in it now';

CREATE VIEW analytics.fct_status AS
SELECT
    s.event_id,
    encode(sha256(convert_to(s.wamid, 'UTF8')), 'hex') AS message_key,
    s.status,
    s.type,
    s.occurred_at,
    s.recorded_at,
    s.phone_number_id,
    s.waba_id,
    encode(sha256(k.secret || convert_to(nullif(s.contact, ''), 'UTF8')), 'hex') AS contact_key,
    c.country,
    s.error_code,
    s.pricing_model,
    s.pricing_type,
    s.pricing_category,
    s.pricing_billable,
    s.conversation_origin_type
FROM projector.message_statuses AS s
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = s.contact;
COMMENT ON VIEW analytics.fct_status IS 'Every status that Meta reported, each once however often it was delivered; fct_message has what follows from them';
COMMENT ON COLUMN analytics.fct_status.event_id IS 'Id of the event in the log: one row an id';
COMMENT ON COLUMN analytics.fct_status.message_key IS 'The message, as in fct_message; it may be unknown there';
COMMENT ON COLUMN analytics.fct_status.status IS 'Meta''s word: sent, delivered, read, played, failed …';
COMMENT ON COLUMN analytics.fct_status.type IS 'What it is a status of: message, payment …';
COMMENT ON COLUMN analytics.fct_status.occurred_at IS 'Meta''s time of it, in whole seconds';
COMMENT ON COLUMN analytics.fct_status.recorded_at IS 'When the webhook came to us';
COMMENT ON COLUMN analytics.fct_status.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_status.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_status.contact_key IS 'The person who got the message, in a group one of several; null where Meta named nobody';
COMMENT ON COLUMN analytics.fct_status.country IS 'ISO 3166-1 alpha-2 of that person';
COMMENT ON COLUMN analytics.fct_status.error_code IS 'Meta''s code, of a failure';
COMMENT ON COLUMN analytics.fct_status.pricing_model IS 'Meta''s word: PMP by message, CBP by conversation (until July 2025)';
COMMENT ON COLUMN analytics.fct_status.pricing_type IS 'Meta''s word: regular is billed, the others are free';
COMMENT ON COLUMN analytics.fct_status.pricing_category IS 'Meta''s word: marketing, utility, authentication, service …';
COMMENT ON COLUMN analytics.fct_status.pricing_billable IS 'As Meta sent it; deprecated there, pricing_type says more';
COMMENT ON COLUMN analytics.fct_status.conversation_origin_type IS 'Meta''s word for what began the conversation that it counted; null where it counted none';

CREATE VIEW analytics.fct_call AS
SELECT
    encode(sha256(convert_to(v.wacid, 'UTF8')), 'hex') AS call_key,
    least(v.connected_at, v.ringing_at, v.accepted_at, v.rejected_at, v.started_at, v.terminated_at, v.recording_at) AS occurred_at,
    v.phone_number_id,
    v.waba_id,
    encode(sha256(k.secret || convert_to(v.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    v.direction,
    v.started_at IS NOT NULL AS is_answered,
    v.connected_at,
    v.ringing_at,
    v.accepted_at,
    v.rejected_at,
    v.started_at,
    v.ended_at,
    v.terminated_at,
    v.termination,
    v.duration_seconds,
    v.error_code,
    v.recording_at
FROM projector.calls AS v
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = v.contact;
COMMENT ON VIEW analytics.fct_call IS 'One row a call, both directions; instants are Meta''s, the first of each kind';
COMMENT ON COLUMN analytics.fct_call.call_key IS 'One call; a digest of Meta''s id';
COMMENT ON COLUMN analytics.fct_call.occurred_at IS 'The first instant below; null while none is known';
COMMENT ON COLUMN analytics.fct_call.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_call.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_call.contact_key IS 'The person, as in dim_contact';
COMMENT ON COLUMN analytics.fct_call.country IS 'ISO 3166-1 alpha-2 of that person';
COMMENT ON COLUMN analytics.fct_call.direction IS 'USER_INITIATED or BUSINESS_INITIATED';
COMMENT ON COLUMN analytics.fct_call.is_answered IS 'Whether somebody picked it up';
COMMENT ON COLUMN analytics.fct_call.connected_at IS 'When it began to be connected';
COMMENT ON COLUMN analytics.fct_call.ringing_at IS 'When it rang at the person; of calls of the business';
COMMENT ON COLUMN analytics.fct_call.accepted_at IS 'When the person took it; of calls of the business';
COMMENT ON COLUMN analytics.fct_call.rejected_at IS 'When the person refused it; of calls of the business';
COMMENT ON COLUMN analytics.fct_call.started_at IS 'When it was picked up; null when it was not';
COMMENT ON COLUMN analytics.fct_call.ended_at IS 'When who spoke hung up; null when nobody picked it up';
COMMENT ON COLUMN analytics.fct_call.terminated_at IS 'When Meta told its end, answered or not';
COMMENT ON COLUMN analytics.fct_call.termination IS 'COMPLETED or FAILED; an unanswered call of the business is COMPLETED too';
COMMENT ON COLUMN analytics.fct_call.duration_seconds IS 'Seconds, of calls that were picked up';
COMMENT ON COLUMN analytics.fct_call.error_code IS 'Meta''s code, of a failure';
COMMENT ON COLUMN analytics.fct_call.recording_at IS 'When a recording or transcript was first ready; Meta keeps it for 7 days';

CREATE VIEW analytics.fct_template_change AS
SELECT
    event_id,
    coalesce(occurred_at, recorded_at) AS occurred_at,
    recorded_at,
    waba_id,
    template_id,
    template_name,
    template_language AS language,
    field,
    event,
    category,
    previous_category,
    correct_category,
    category_update_at,
    previous_quality_score,
    new_quality_score,
    reason
FROM projector.template_changes;
COMMENT ON VIEW analytics.fct_template_change IS 'Every change of status, category, quality or content of a template, one row a change; dim_template is what holds now';
COMMENT ON COLUMN analytics.fct_template_change.event_id IS 'Id of the event in the log: one row an id';
COMMENT ON COLUMN analytics.fct_template_change.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';
COMMENT ON COLUMN analytics.fct_template_change.recorded_at IS 'When the webhook came to us';
COMMENT ON COLUMN analytics.fct_template_change.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_template_change.template_id IS 'Meta''s id of the template in this language';
COMMENT ON COLUMN analytics.fct_template_change.template_name IS 'Name, one of several languages';
COMMENT ON COLUMN analytics.fct_template_change.language IS 'Meta''s code, as pt_BR';
COMMENT ON COLUMN analytics.fct_template_change.field IS 'Webhook field it came by: status, category, quality or components';
COMMENT ON COLUMN analytics.fct_template_change.event IS 'Meta''s word: APPROVED, PAUSED …; of a category impending, completed or detected; quality_changed; components_changed';
COMMENT ON COLUMN analytics.fct_template_change.category IS 'The category that holds from then on';
COMMENT ON COLUMN analytics.fct_template_change.previous_category IS 'The category until then';
COMMENT ON COLUMN analytics.fct_template_change.correct_category IS 'What Meta holds for right; it comes into force only with a completed change';
COMMENT ON COLUMN analytics.fct_template_change.category_update_at IS 'When an announced category begins to hold';
COMMENT ON COLUMN analytics.fct_template_change.previous_quality_score IS 'GREEN, YELLOW, RED or UNKNOWN, until then';
COMMENT ON COLUMN analytics.fct_template_change.new_quality_score IS 'GREEN, YELLOW, RED or UNKNOWN, from then on';
COMMENT ON COLUMN analytics.fct_template_change.reason IS 'Why Meta refused or stopped it, in its words';

CREATE VIEW analytics.fct_flow_change AS
SELECT
    event_id,
    coalesce(occurred_at, recorded_at) AS occurred_at,
    recorded_at,
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
    requests_count
FROM projector.flow_changes;
COMMENT ON VIEW analytics.fct_flow_change IS 'Every change of state of a flow and every alert about it, one row each';
COMMENT ON COLUMN analytics.fct_flow_change.event_id IS 'Id of the event in the log: one row an id';
COMMENT ON COLUMN analytics.fct_flow_change.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';
COMMENT ON COLUMN analytics.fct_flow_change.recorded_at IS 'When the webhook came to us';
COMMENT ON COLUMN analytics.fct_flow_change.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_flow_change.flow_id IS 'Meta''s id of the flow';
COMMENT ON COLUMN analytics.fct_flow_change.event IS 'Meta''s word: FLOW_STATUS_CHANGE, ENDPOINT_ERROR_RATE, ENDPOINT_LATENCY …';
COMMENT ON COLUMN analytics.fct_flow_change.previous_status IS 'DRAFT, PUBLISHED, DEPRECATED, BLOCKED or THROTTLED, until then';
COMMENT ON COLUMN analytics.fct_flow_change.status IS 'The same from then on; null in an alert';
COMMENT ON COLUMN analytics.fct_flow_change.alert_state IS 'ACTIVATED or DEACTIVATED; null in a change of state';
COMMENT ON COLUMN analytics.fct_flow_change.threshold IS 'What the figure passed, in the unit of the figure';
COMMENT ON COLUMN analytics.fct_flow_change.error_rate IS 'Percent of requests, as Meta tells it';
COMMENT ON COLUMN analytics.fct_flow_change.availability IS 'Percent, as Meta tells it';
COMMENT ON COLUMN analytics.fct_flow_change.p50_latency IS 'Milliseconds, the median';
COMMENT ON COLUMN analytics.fct_flow_change.p90_latency IS 'Milliseconds, which nine of ten requests kept below';
COMMENT ON COLUMN analytics.fct_flow_change.requests_count IS 'How many requests the figure is about';

CREATE VIEW analytics.fct_number_change AS
SELECT
    c.event_id,
    coalesce(c.occurred_at, c.recorded_at) AS occurred_at,
    c.recorded_at,
    c.waba_id,
    coalesce(
        c.phone_number_id,
        (
            SELECT min(n.phone_number_id)
            FROM registry.phone_numbers AS n
            WHERE regexp_replace(n.display_phone_number, '[^0-9]', '', 'g')
                = regexp_replace(c.display_phone_number, '[^0-9]', '', 'g')
        )
    ) AS phone_number_id,
    c.phone_number_id IS NULL AND c.display_phone_number IS NULL AS is_of_account,
    c.field,
    c.event,
    c.messaging_limit,
    c.previous_limit,
    c.messages_per_second,
    c.decision,
    c.rejection_reason,
    c.status,
    c.calling_status
FROM projector.phone_number_changes AS c;
COMMENT ON VIEW analytics.fct_number_change IS 'Limits, rates, decisions about names, and stops of business numbers, one row a change; dim_phone_number is what holds now';
COMMENT ON COLUMN analytics.fct_number_change.event_id IS 'Id of the event in the log: one row an id';
COMMENT ON COLUMN analytics.fct_number_change.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';
COMMENT ON COLUMN analytics.fct_number_change.recorded_at IS 'When the webhook came to us, or the sender told it';
COMMENT ON COLUMN analytics.fct_number_change.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_number_change.phone_number_id IS 'Meta''s id of the business number; null for all numbers of the account, and for one that is not registered here';
COMMENT ON COLUMN analytics.fct_number_change.is_of_account IS 'Whether it is about all numbers of the account';
COMMENT ON COLUMN analytics.fct_number_change.field IS 'Webhook field; null for what the sender told';
COMMENT ON COLUMN analytics.fct_number_change.event IS 'Meta''s word, or the sender''s: stopped, sending, limit';
COMMENT ON COLUMN analytics.fct_number_change.messaging_limit IS 'People a day that may be written to first, from then on: a tier or a number, -1 for no limit';
COMMENT ON COLUMN analytics.fct_number_change.previous_limit IS 'The same until then';
COMMENT ON COLUMN analytics.fct_number_change.messages_per_second IS 'The rate that the sender keeps to from then on';
COMMENT ON COLUMN analytics.fct_number_change.decision IS 'About the name that was asked for: APPROVED, DEFERRED, PENDING or REJECTED';
COMMENT ON COLUMN analytics.fct_number_change.rejection_reason IS 'Why that name was refused, in Meta''s word';
COMMENT ON COLUMN analytics.fct_number_change.status IS 'Meta''s word for a username or setting; of a stop its reason';
COMMENT ON COLUMN analytics.fct_number_change.calling_status IS 'Whether the number takes calls: ENABLED or DISABLED';

CREATE VIEW analytics.fct_account_event AS
SELECT
    e.event_id,
    coalesce(e.occurred_at, e.recorded_at) AS occurred_at,
    e.recorded_at,
    e.waba_id,
    e.phone_number_id,
    e.record AS type,
    e.field,
    e.event,
    encode(sha256(k.secret || convert_to(e.contact, 'UTF8')), 'hex') AS contact_key
FROM projector.account_events AS e
CROSS JOIN registry.contact_secret AS k;
COMMENT ON VIEW analytics.fct_account_event IS 'What Meta told besides messages and their statuses, and what stopped sending: one row each, without its words';
COMMENT ON COLUMN analytics.fct_account_event.event_id IS 'Id of the event in the log: one row an id';
COMMENT ON COLUMN analytics.fct_account_event.occurred_at IS 'Meta''s instant; where it gave none, recorded_at';
COMMENT ON COLUMN analytics.fct_account_event.recorded_at IS 'When the webhook came to us, or the sender told it';
COMMENT ON COLUMN analytics.fct_account_event.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_account_event.phone_number_id IS 'Meta''s id of the business number; null where it is about the account';
COMMENT ON COLUMN analytics.fct_account_event.type IS 'Name of the event, as in docs/events.md: AccountChanged, CallChanged, UnrecognizedChange …';
COMMENT ON COLUMN analytics.fct_account_event.field IS 'Webhook field; null for what the sender told';
COMMENT ON COLUMN analytics.fct_account_event.event IS 'Meta''s word for what happened';
COMMENT ON COLUMN analytics.fct_account_event.contact_key IS 'The person it is about, as in dim_contact; null where it is about nobody';

CREATE VIEW analytics.ops_dead_letter AS
SELECT
    topic,
    partition,
    "offset" AS record_offset,
    recorded_at AS appended_at,
    consumer_group,
    reason
FROM projector.dead_letters;
COMMENT ON VIEW analytics.ops_dead_letter IS 'Records, or elements of them, that a service set aside: where they stood and why. Several elements of one record are several rows';
COMMENT ON COLUMN analytics.ops_dead_letter.topic IS 'Topic of the record';
COMMENT ON COLUMN analytics.ops_dead_letter.partition IS 'Partition of the topic';
COMMENT ON COLUMN analytics.ops_dead_letter.record_offset IS 'Offset in the partition';
COMMENT ON COLUMN analytics.ops_dead_letter.appended_at IS 'When the record was appended to the log';
COMMENT ON COLUMN analytics.ops_dead_letter.consumer_group IS 'Kafka''s consumer group of the service that set it aside';
COMMENT ON COLUMN analytics.ops_dead_letter.reason IS 'Why, in one word';

GRANT SELECT ON
analytics.dim_contact, analytics.dim_group, analytics.dim_group_member, analytics.fct_status, analytics.fct_call,
analytics.fct_template_change, analytics.fct_flow_change, analytics.fct_number_change, analytics.fct_account_event,
analytics.ops_dead_letter
TO parley_analytics;
