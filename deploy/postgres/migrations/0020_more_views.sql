-- What became of sends, evidence of consent, templates by day, numbers by hour, and what templates and numbers are.

CREATE VIEW analytics.fct_send_attempt AS
SELECT
    o.event_id AS outcome_id,
    o.command_id,
    o.attempt_no,
    o.attempt_id,
    o.occurred_at,
    o.kind,
    o.reason,
    o.error_code,
    o.source,
    o.lane,
    o.type,
    o.template_name,
    o.phone_number_id,
    o.waba_id,
    encode(sha256(k.secret || convert_to(coalesce(o.contact, o.bsuid, o.wa_id), 'UTF8')), 'hex') AS contact_key,
    c.country,
    encode(sha256(convert_to(o.wamid, 'UTF8')), 'hex') AS message_key,
    o.possible_duplicate,
    o.trace_id
FROM projector.send_outcomes AS o
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = coalesce(o.contact, o.bsuid, o.wa_id);
COMMENT ON VIEW analytics.fct_send_attempt IS 'What the sender told of commands, one row a word: accepted, deferred, refused, rejected, unknown and so on';
COMMENT ON COLUMN analytics.fct_send_attempt.outcome_id IS 'Id of the outcome event; the same however often it was told';
COMMENT ON COLUMN analytics.fct_send_attempt.command_id IS 'The producer''s id of the command';
COMMENT ON COLUMN analytics.fct_send_attempt.attempt_no IS 'Which attempt it is about; 0 for a command that was never tried';
COMMENT ON COLUMN analytics.fct_send_attempt.attempt_id IS 'Id of that attempt, which Meta gives back with statuses';
COMMENT ON COLUMN analytics.fct_send_attempt.occurred_at IS 'When the sender knew it';
COMMENT ON COLUMN analytics.fct_send_attempt.kind IS 'accepted, deferred, refused, rejected, failed, unknown, unresolved, expired, late_failure';
COMMENT ON COLUMN analytics.fct_send_attempt.reason IS 'Why, one word of docs/producers.md';
COMMENT ON COLUMN analytics.fct_send_attempt.error_code IS 'Meta''s code, where it gave one';
COMMENT ON COLUMN analytics.fct_send_attempt.source IS 'What proved it: response, webhook, operator or the sender''s own rules';
COMMENT ON COLUMN analytics.fct_send_attempt.lane IS 'otp, transactional or bulk';
COMMENT ON COLUMN analytics.fct_send_attempt.type IS 'Kind of message: text, template, image …';
COMMENT ON COLUMN analytics.fct_send_attempt.template_name IS 'Of a template message';
COMMENT ON COLUMN analytics.fct_send_attempt.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_send_attempt.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_send_attempt.contact_key IS 'The person, as in fct_message; null where nobody knew yet whose the number is';
COMMENT ON COLUMN analytics.fct_send_attempt.country IS 'ISO 3166-1 alpha-2 of that person';
COMMENT ON COLUMN analytics.fct_send_attempt.message_key IS 'The message, as in fct_message, once Meta named it';
COMMENT ON COLUMN analytics.fct_send_attempt.possible_duplicate IS 'True where the person may have it twice';
COMMENT ON COLUMN analytics.fct_send_attempt.trace_id IS 'Meta''s fbtrace_id, for its support';

CREATE VIEW analytics.fct_consent_event AS
SELECT
    encode(sha256(k.secret || convert_to(e.consent_id, 'UTF8')), 'hex') AS consent_key,
    e.occurred_at,
    e.phone_number_id,
    encode(sha256(k.secret || convert_to(e.contact, 'UTF8')), 'hex') AS contact_key,
    c.country,
    e.category,
    e.decision,
    e.source,
    encode(sha256(convert_to(e.wamid, 'UTF8')), 'hex') AS message_key
FROM projector.consent_events AS e
CROSS JOIN registry.contact_secret AS k
LEFT JOIN projector.contacts AS c ON c.contact = e.contact;
COMMENT ON VIEW analytics.fct_consent_event IS 'Evidence that somebody allowed or withdrew a category of messages, one row a piece';
COMMENT ON COLUMN analytics.fct_consent_event.consent_key IS 'One piece of evidence';
COMMENT ON COLUMN analytics.fct_consent_event.occurred_at IS 'When it was given';
COMMENT ON COLUMN analytics.fct_consent_event.phone_number_id IS 'Meta''s id of the business number it is about';
COMMENT ON COLUMN analytics.fct_consent_event.contact_key IS 'The person as the evidence names it: a number here may be a user id in fct_message';
COMMENT ON COLUMN analytics.fct_consent_event.country IS 'ISO 3166-1 alpha-2, where the person is known under that name';
COMMENT ON COLUMN analytics.fct_consent_event.category IS 'marketing, utility, authentication or all';
COMMENT ON COLUMN analytics.fct_consent_event.decision IS 'granted or withdrawn';
COMMENT ON COLUMN analytics.fct_consent_event.source IS 'keyword, user_preferences, error_131050, or the producer''s word';
COMMENT ON COLUMN analytics.fct_consent_event.message_key IS 'The message that says it, or that was not delivered for it';

CREATE VIEW analytics.dim_template AS
SELECT
    coalesce(listed.waba_id, told.waba_id) AS waba_id,
    coalesce(listed.name, told.name) AS template_name,
    coalesce(listed.language, told.language) AS language,
    CASE WHEN told.status_at > listed.polled_at THEN told.status ELSE coalesce(listed.status, told.status) END AS status,
    CASE WHEN told.category_at > listed.polled_at THEN told.category ELSE coalesce(listed.category, told.category) END AS category,
    CASE
        WHEN told.quality_score_at > listed.polled_at THEN told.quality_score
        ELSE coalesce(listed.quality_score, told.quality_score)
    END AS quality_score,
    listed.waba_id IS NOT NULL AS is_listed,
    greatest(told.status_at, told.category_at, told.quality_score_at, told.components_at) AS changed_at
FROM sender.templates AS listed
FULL JOIN projector.templates AS told
    ON told.waba_id = listed.waba_id AND told.name = listed.name AND told.language = listed.language;
COMMENT ON VIEW analytics.dim_template IS 'Templates as they are now: Meta''s list, and what webhooks told since';
COMMENT ON COLUMN analytics.dim_template.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.dim_template.template_name IS 'Name, one of several languages';
COMMENT ON COLUMN analytics.dim_template.language IS 'Meta''s code, as pt_BR';
COMMENT ON COLUMN analytics.dim_template.status IS 'Meta''s word: APPROVED, PAUSED, DISABLED …';
COMMENT ON COLUMN analytics.dim_template.category IS 'Meta''s word in capitals: the one that holds now';
COMMENT ON COLUMN analytics.dim_template.quality_score IS 'Meta''s word: GREEN, YELLOW, RED, UNKNOWN';
COMMENT ON COLUMN analytics.dim_template.is_listed IS 'Whether Meta listed it the last time it was asked';
COMMENT ON COLUMN analytics.dim_template.changed_at IS 'The last change that a webhook told';

CREATE VIEW analytics.dim_phone_number AS
SELECT
    n.phone_number_id,
    n.waba_id,
    n.tenant_id,
    n.state,
    n.messages_per_second,
    n.is_coexistence,
    l.messaging_limit
FROM registry.phone_numbers AS n
LEFT JOIN projector.messaging_limits AS l ON l.waba_id = n.waba_id;
COMMENT ON VIEW analytics.dim_phone_number IS 'Business numbers as they are now';
COMMENT ON COLUMN analytics.dim_phone_number.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.dim_phone_number.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.dim_phone_number.tenant_id IS 'Whose it is';
COMMENT ON COLUMN analytics.dim_phone_number.state IS 'active, paused or disabled, as the operator says';
COMMENT ON COLUMN analytics.dim_phone_number.messages_per_second IS 'What Meta allows it';
COMMENT ON COLUMN analytics.dim_phone_number.is_coexistence IS 'Whether it is shared with the WhatsApp Business app';
COMMENT ON COLUMN analytics.dim_phone_number.messaging_limit IS 'People a day that its portfolio may write to first: a tier or a number, -1 for no limit; null when it was not told yet';

CREATE VIEW analytics.agg_template_day AS
SELECT
    (accepted_at AT TIME ZONE 'UTC')::date AS day,
    waba_id,
    phone_number_id,
    template_name,
    country,
    count(*) AS accepted,
    count(*) FILTER (WHERE coalesce(delivered_at, read_at, played_at) IS NOT NULL) AS delivered,
    count(*) FILTER (WHERE coalesce(read_at, played_at) IS NOT NULL) AS read,
    count(*) FILTER (WHERE delivery = 'failed') AS failed,
    count(*) FILTER (WHERE delivery = 'failed' AND error_code IN (130472, 131049, 131050)) AS held_back
FROM analytics.fct_message
WHERE origin = 'command' AND template_name IS NOT NULL
GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW analytics.agg_template_day IS 'What became of template messages, by the day on which they were accepted';
COMMENT ON COLUMN analytics.agg_template_day.day IS 'UTC';
COMMENT ON COLUMN analytics.agg_template_day.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.agg_template_day.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.agg_template_day.template_name IS 'Name of the template';
COMMENT ON COLUMN analytics.agg_template_day.country IS 'ISO 3166-1 alpha-2 of the recipients';
COMMENT ON COLUMN analytics.agg_template_day.accepted IS 'How many Meta accepted';
COMMENT ON COLUMN analytics.agg_template_day.delivered IS 'Of these, how many were delivered';
COMMENT ON COLUMN analytics.agg_template_day.read IS 'Of these, how many were read';
COMMENT ON COLUMN analytics.agg_template_day.failed IS 'Of those accepted, how many failed and were not delivered';
COMMENT ON COLUMN analytics.agg_template_day.held_back IS 'Of those failed, how many because people or Meta want less of them: 130472, 131049, 131050';

CREATE VIEW analytics.agg_number_hour AS
SELECT
    hour,
    phone_number_id,
    sum(accepted)::bigint AS accepted,
    sum(received)::bigint AS received,
    sum(failed)::bigint AS failed,
    max(accepted + received) AS busiest_second
FROM (
    SELECT
        date_trunc('hour', occurred_at, 'UTC') AS hour,
        date_trunc('second', occurred_at) AS second,
        phone_number_id,
        count(*) FILTER (WHERE direction = 'outbound') AS accepted,
        count(*) FILTER (WHERE direction = 'inbound') AS received,
        count(*) FILTER (WHERE delivery = 'failed') AS failed
    FROM analytics.fct_message
    WHERE origin IN ('command', 'contact')
    GROUP BY 1, 2, 3
) AS seconds
GROUP BY 1, 2;
COMMENT ON VIEW analytics.agg_number_hour IS 'What a business number sent for commands and received, by hour';
COMMENT ON COLUMN analytics.agg_number_hour.hour IS 'Its beginning, UTC';
COMMENT ON COLUMN analytics.agg_number_hour.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.agg_number_hour.accepted IS 'Messages that Meta accepted in it';
COMMENT ON COLUMN analytics.agg_number_hour.received IS 'Messages that people wrote in it';
COMMENT ON COLUMN analytics.agg_number_hour.failed IS 'Of those accepted, how many failed and were not delivered';
COMMENT ON COLUMN analytics.agg_number_hour.busiest_second IS 'Most messages in one second of the clock, both directions: Meta counts both against the limit of the number';

GRANT SELECT ON
analytics.fct_send_attempt, analytics.fct_consent_event, analytics.dim_template, analytics.dim_phone_number,
analytics.agg_template_day, analytics.agg_number_hour
TO parley_analytics;
