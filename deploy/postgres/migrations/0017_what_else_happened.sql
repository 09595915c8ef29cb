-- Templates, numbers, flows, calls and groups as tables of their own, what Meta counted as conversations, and more of what it told.

CREATE TABLE projector.template_changes (
    content_sha256 bytea PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    waba_id text,
    template_id text NOT NULL,
    template_name text,
    template_language text,
    field text NOT NULL,
    event text NOT NULL,
    category text,
    previous_category text,
    correct_category text,
    category_update_at timestamptz,
    previous_quality_score text,
    new_quality_score text,
    reason text,
    recommendation text,
    disable_date text
);
COMMENT ON TABLE projector.template_changes IS 'Every change of status, category, quality or content of a template, each content once';
COMMENT ON COLUMN projector.template_changes.occurred_at IS 'Meta''s instant; null where it gave none';
COMMENT ON COLUMN projector.template_changes.event IS 'Meta''s word for what happened';
COMMENT ON COLUMN projector.template_changes.category_update_at IS 'When an announced category begins to hold';
CREATE INDEX template_changes_template ON projector.template_changes (waba_id, template_name, template_language, occurred_at);

CREATE TABLE projector.phone_number_changes (
    content_sha256 bytea PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    waba_id text,
    phone_number_id text,
    display_phone_number text,
    field text,
    event text NOT NULL,
    messaging_limit text,
    previous_limit text,
    messages_per_second integer,
    requested_verified_name text,
    decision text,
    rejection_reason text,
    username text,
    status text,
    calling_status text
);
COMMENT ON TABLE projector.phone_number_changes IS 'Limits, tiers, rates, names and stops of business numbers over time, each content once; without a number it is about all of the account';
COMMENT ON COLUMN projector.phone_number_changes.display_phone_number IS 'The business'' own number: some of Meta''s events name no other';
COMMENT ON COLUMN projector.phone_number_changes.field IS 'Webhook field; null for what the sender told';
COMMENT ON COLUMN projector.phone_number_changes.event IS 'Meta''s word, or the sender''s: stopped, sending, limit';
COMMENT ON COLUMN projector.phone_number_changes.messaging_limit IS 'People a day that may be written to first: a tier or a number, -1 for no limit';
COMMENT ON COLUMN projector.phone_number_changes.messages_per_second IS 'The rate that the sender keeps to from then on';
COMMENT ON COLUMN projector.phone_number_changes.status IS 'Meta''s word for a username or setting; of a stop its reason';
CREATE INDEX phone_number_changes_number ON projector.phone_number_changes (phone_number_id, occurred_at);

CREATE TABLE projector.flow_changes (
    content_sha256 bytea PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    waba_id text,
    flow_id text,
    event text NOT NULL,
    previous_status text,
    status text,
    alert_state text,
    threshold double precision,
    error_rate double precision,
    availability double precision,
    p50_latency double precision,
    p90_latency double precision,
    requests_count bigint,
    message text
);
COMMENT ON TABLE projector.flow_changes IS 'Every change of state of a flow and every alert about it, each content once; numbers in Meta''s units';
CREATE INDEX flow_changes_flow ON projector.flow_changes (flow_id, occurred_at);

CREATE TABLE projector.calls (
    wacid text COLLATE "C" PRIMARY KEY,
    phone_number_id text COLLATE "C" NOT NULL,
    waba_id text COLLATE "C" NOT NULL,
    contact text COLLATE "C",
    direction text COLLATE "C",
    connected_at timestamptz,
    ringing_at timestamptz,
    accepted_at timestamptz,
    rejected_at timestamptz,
    terminated_at timestamptz,
    termination text COLLATE "C",
    started_at timestamptz,
    ended_at timestamptz,
    duration_seconds bigint,
    error_code integer,
    biz_opaque_callback_data text COLLATE "C",
    cta_payload text COLLATE "C",
    deeplink_payload text COLLATE "C",
    recording_at timestamptz
) WITH (fillfactor = 80);
COMMENT ON TABLE projector.calls IS 'One row a call, both directions; answered is what has started_at';
COMMENT ON COLUMN projector.calls.direction IS 'USER_INITIATED or BUSINESS_INITIATED';
COMMENT ON COLUMN projector.calls.termination IS 'COMPLETED or FAILED; an unanswered call of ours is COMPLETED too';
COMMENT ON COLUMN projector.calls.recording_at IS 'When a recording or transcript was first ready; Meta keeps it for 7 days';
CREATE INDEX calls_conversation ON projector.calls (phone_number_id, contact, connected_at);

CREATE TABLE projector.groups (
    phone_number_id text COLLATE "C" NOT NULL,
    group_id text COLLATE "C" NOT NULL,
    waba_id text COLLATE "C" NOT NULL,
    created_at timestamptz,
    deleted_at timestamptz,
    subject text COLLATE "C",
    subject_at timestamptz,
    description text COLLATE "C",
    description_at timestamptz,
    invite_link text COLLATE "C",
    invite_link_at timestamptz,
    join_approval_mode text COLLATE "C",
    join_approval_mode_at timestamptz,
    suspension text COLLATE "C",
    suspension_at timestamptz,
    PRIMARY KEY (phone_number_id, group_id)
);
COMMENT ON TABLE projector.groups IS 'Groups of business numbers, each setting as last told';
COMMENT ON COLUMN projector.groups.suspension IS 'suspended or cleared, as last told; null when neither was';

CREATE TABLE projector.group_members (
    phone_number_id text COLLATE "C" NOT NULL,
    group_id text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    added_at timestamptz,
    removed_at timestamptz,
    PRIMARY KEY (phone_number_id, group_id, contact)
);
COMMENT ON TABLE projector.group_members IS 'The last time that somebody came into a group and the last time out; of one instant out counts';

CREATE TABLE projector.priced_conversations (
    conversation_id text COLLATE "C" PRIMARY KEY,
    phone_number_id text COLLATE "C" NOT NULL,
    waba_id text COLLATE "C" NOT NULL,
    contact text COLLATE "C",
    origin_type text COLLATE "C",
    first_status_at timestamptz NOT NULL,
    expires_at timestamptz,
    pricing_model text COLLATE "C",
    pricing_type text COLLATE "C",
    pricing_type_at timestamptz,
    pricing_category text COLLATE "C",
    pricing_category_at timestamptz,
    is_billable boolean
) WITH (fillfactor = 80);
COMMENT ON TABLE projector.priced_conversations IS 'What Meta counted as one conversation: priced as such (until July 2025), or a free entry point';
COMMENT ON COLUMN projector.priced_conversations.origin_type IS 'Meta''s word; referral_conversion is a free entry point, free for 72 h from the answer until expires_at';
COMMENT ON COLUMN projector.priced_conversations.first_status_at IS 'The first status that named it: Meta tells no beginning';
COMMENT ON COLUMN projector.priced_conversations.is_billable IS 'True when any status of it says so';
CREATE INDEX priced_conversations_contact ON projector.priced_conversations (phone_number_id, contact, expires_at);

ALTER TABLE projector.message_statuses
    ADD COLUMN pricing_billable boolean,
    ADD COLUMN conversation_origin_type text,
    ADD COLUMN conversation_expires_at timestamptz;
COMMENT ON COLUMN projector.message_statuses.pricing_billable IS 'As Meta sent it; deprecated there, pricing_type says more';

ALTER TABLE projector.consent_events ADD COLUMN wamid text COLLATE "C";
COMMENT ON COLUMN projector.consent_events.wamid IS 'The message that says it, or that Meta did not deliver for it; null for a producer''s record';

GRANT SELECT, INSERT, UPDATE ON
projector.template_changes, projector.phone_number_changes, projector.flow_changes, projector.calls, projector.groups,
projector.group_members, projector.priced_conversations
TO parley_projector;
