-- What each column of a view means, and in which unit: `\d+ analytics.fct_message` and every tool that reads comments show it.
-- Instants are timestamptz. Those of statuses are Meta's, in whole seconds; accepted_at and recorded_at are ours.

COMMENT ON COLUMN analytics.fct_message.message_key IS 'One message; a digest of Meta''s id, the same in every table that names the message';
COMMENT ON COLUMN analytics.fct_message.direction IS 'inbound: from a contact; outbound: to one';
COMMENT ON COLUMN analytics.fct_message.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_message.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.fct_message.type IS 'Meta''s word for the kind of message: text, template, image …; null while only statuses are known';
COMMENT ON COLUMN analytics.fct_message.lane IS 'otp, transactional or bulk; null for what was not sent for a command';
COMMENT ON COLUMN analytics.fct_message.template_name IS 'Of a template message';
COMMENT ON COLUMN analytics.fct_message.command_id IS 'The producer''s id of the command it was sent for';
COMMENT ON COLUMN analytics.fct_message.occurred_at IS 'When it was written or accepted; where only statuses are known, the first of them';
COMMENT ON COLUMN analytics.fct_message.recorded_at IS 'When the webhook or answer that describes it came to us';
COMMENT ON COLUMN analytics.fct_message.accepted_at IS 'When Meta accepted it from us';
COMMENT ON COLUMN analytics.fct_message.sent_at IS 'First status sent; a later status may come without it';
COMMENT ON COLUMN analytics.fct_message.delivered_at IS 'First status delivered';
COMMENT ON COLUMN analytics.fct_message.read_at IS 'First status read; people may switch it off';
COMMENT ON COLUMN analytics.fct_message.played_at IS 'First status played, of voice messages';
COMMENT ON COLUMN analytics.fct_message.failed_at IS 'First status failed; kept beside the others, for Meta may tell both';
COMMENT ON COLUMN analytics.fct_message.error_code IS 'Meta''s code of that failure';
COMMENT ON COLUMN analytics.fct_message.pricing_model IS 'Meta''s word: PMP by message, CBP by conversation (until July 2025)';
COMMENT ON COLUMN analytics.fct_message.pricing_type IS 'Meta''s word: regular is billed, the others are free';
COMMENT ON COLUMN analytics.fct_message.pricing_category IS 'Meta''s word: marketing, utility, authentication, service …';
COMMENT ON COLUMN analytics.fct_message.delivery IS 'The furthest that is known of an outbound message: accepted, sent, delivered, read, played, or failed where it got no further than sent';

COMMENT ON COLUMN analytics.fct_window.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_window.conversations IS 'People and groups that it ever exchanged a message with';
COMMENT ON COLUMN analytics.fct_window.open_windows IS 'Of these, who wrote in the last 24 hours: they may be answered freely';
COMMENT ON COLUMN analytics.fct_window.closed_windows IS 'Of these, who wrote longer ago';
COMMENT ON COLUMN analytics.fct_window.never_opened IS 'Of these, who never wrote';

COMMENT ON COLUMN analytics.ops_projection.projection IS 'Which read models';
COMMENT ON COLUMN analytics.ops_projection.topic IS 'Topic of the log';
COMMENT ON COLUMN analytics.ops_projection.partition IS 'Partition of the topic';
COMMENT ON COLUMN analytics.ops_projection.written_at IS 'When the tables last took something in from the partition';

COMMENT ON COLUMN analytics.dim_rate_card.country IS 'ISO 3166-1 alpha-2';
COMMENT ON COLUMN analytics.dim_rate_card.category IS 'Meta''s word, in lower case with hyphens';
COMMENT ON COLUMN analytics.dim_rate_card.valid_from IS 'First day (UTC) on which it holds, until a later one does';
COMMENT ON COLUMN analytics.dim_rate_card.price IS 'Of one delivered message, in units of currency';
COMMENT ON COLUMN analytics.dim_rate_card.currency IS 'ISO 4217';

COMMENT ON COLUMN analytics.fct_cost.message_key IS 'The message, as in fct_message';
COMMENT ON COLUMN analytics.fct_cost.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.fct_cost.waba_id IS 'Meta''s id of the business account, which Meta bills';
COMMENT ON COLUMN analytics.fct_cost.template_name IS 'Of a template message';
COMMENT ON COLUMN analytics.fct_cost.lane IS 'otp, transactional or bulk; null for what was not sent for a command';
COMMENT ON COLUMN analytics.fct_cost.contact_key IS 'The person, as in fct_message';
COMMENT ON COLUMN analytics.fct_cost.country IS 'ISO 3166-1 alpha-2 of the recipient: the rate is that of its market';
COMMENT ON COLUMN analytics.fct_cost.pricing_model IS 'Meta''s word: PMP by message, CBP by conversation (until July 2025)';
COMMENT ON COLUMN analytics.fct_cost.pricing_type IS 'Meta''s word: regular is billed, the others are free';
COMMENT ON COLUMN analytics.fct_cost.pricing_category IS 'Meta''s word; in the rate card with hyphens';
COMMENT ON COLUMN analytics.fct_cost.occurred_at IS 'When the message was accepted, or first heard of';
COMMENT ON COLUMN analytics.fct_cost.currency IS 'ISO 4217; null where there is no cost';

COMMENT ON COLUMN analytics.agg_cost_day.day IS 'UTC; of delivery, where it was delivered';
COMMENT ON COLUMN analytics.agg_cost_day.waba_id IS 'Meta''s id of the business account';
COMMENT ON COLUMN analytics.agg_cost_day.phone_number_id IS 'Meta''s id of the business number';
COMMENT ON COLUMN analytics.agg_cost_day.country IS 'ISO 3166-1 alpha-2 of the recipients';
COMMENT ON COLUMN analytics.agg_cost_day.pricing_category IS 'Meta''s word';
COMMENT ON COLUMN analytics.agg_cost_day.cost_state IS 'As in fct_cost';
COMMENT ON COLUMN analytics.agg_cost_day.currency IS 'ISO 4217; sums are never of several';
COMMENT ON COLUMN analytics.agg_cost_day.messages IS 'How many';
COMMENT ON COLUMN analytics.agg_cost_day.cost IS 'Sum of what is known, in currency; null where nothing is';
COMMENT ON COLUMN analytics.agg_cost_day.messages_of_unknown_rate IS 'How many of them are billed and have no rate: their cost is missing in the sum';
