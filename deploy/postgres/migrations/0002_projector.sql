-- Read models of the projector. Every row is a merge of events that no order, repetition or grouping of them changes.
-- Text that a merge compares is COLLATE "C": the order of its code points, the same as in the code that folds a batch.

CREATE SCHEMA projector;
COMMENT ON SCHEMA projector IS 'Read models, rebuilt from the log at any time; written by the projector alone';

CREATE TABLE projector.positions (
    projection text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE projector.positions IS 'How far each partition is in the tables; committed together with the rows';

CREATE TABLE projector.contacts (
    contact text COLLATE "C" PRIMARY KEY,
    bsuid text COLLATE "C",
    wa_id text COLLATE "C",
    wa_id_at timestamptz,
    profile_name text COLLATE "C",
    profile_name_at timestamptz,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz
) WITH (fillfactor = 85);
COMMENT ON TABLE projector.contacts IS 'People: key is the BSUID where Meta gave one, else the wa_id';
COMMENT ON COLUMN projector.contacts.wa_id IS 'As Meta last told it with a message of the contact, at wa_id_at; contact_aliases has every one';
COMMENT ON COLUMN projector.contacts.profile_name IS 'As Meta last told it, at profile_name_at';
COMMENT ON COLUMN projector.contacts.first_seen_at IS 'First event of any kind that named the contact';
COMMENT ON COLUMN projector.contacts.last_seen_at IS 'Last message from the contact; null when there was none';

CREATE TABLE projector.contact_aliases (
    alias text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (alias, contact)
);
COMMENT ON TABLE projector.contact_aliases IS 'Every name a contact was met under: its key, wa_id, BSUID, and the number a command was addressed to';
CREATE INDEX contact_aliases_contact ON projector.contact_aliases (contact);

CREATE TABLE projector.conversations (
    phone_number_id text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    waba_id text COLLATE "C",
    first_inbound_at timestamptz,
    last_inbound_at timestamptz,
    last_outbound_at timestamptz,
    PRIMARY KEY (phone_number_id, contact)
) WITH (fillfactor = 85);
COMMENT ON TABLE projector.conversations IS 'One business number and one contact; the window is read from last_inbound_at';
COMMENT ON COLUMN projector.conversations.last_inbound_at IS 'Last message that opens the 24 h window, by Meta''s clock';

CREATE TABLE projector.consents (
    phone_number_id text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    granted_at timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (phone_number_id, contact, category)
);
COMMENT ON TABLE projector.consents IS 'Last grant and last withdrawal by category; contact is digits or a BSUID as the evidence named it';

CREATE TABLE projector.consent_events (
    consent_id text COLLATE "C" PRIMARY KEY,
    phone_number_id text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    decision text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    wording text COLLATE "C",
    occurred_at timestamptz NOT NULL
);
COMMENT ON TABLE projector.consent_events IS 'Evidence of consent, explicit (the producer''s consent_id) or by keyword (keyword:<wamid>)';
CREATE INDEX consent_events_contact ON projector.consent_events (contact, phone_number_id);

CREATE TABLE projector.messages (
    wamid text COLLATE "C" PRIMARY KEY,
    direction text COLLATE "C" NOT NULL,
    phone_number_id text COLLATE "C" NOT NULL,
    waba_id text COLLATE "C",
    contact text COLLATE "C",
    event_id text COLLATE "C",
    recorded_at timestamptz,
    occurred_at timestamptz,
    type text,
    text text,
    payload text,
    context_wamid text,
    group_id text,
    raw text,
    command_id text,
    attempt_id text,
    attempt_no integer,
    lane text,
    template_name text,
    accepted_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    played_at timestamptz,
    failed_at timestamptz,
    error_code integer,
    error_title text COLLATE "C",
    priced_at timestamptz,
    pricing_model text COLLATE "C",
    pricing_type text COLLATE "C",
    pricing_category text COLLATE "C"
) WITH (fillfactor = 80);
COMMENT ON TABLE projector.messages IS 'One row a message, both directions, from inbound messages, accepted sends and statuses in any order';
COMMENT ON COLUMN projector.messages.event_id IS 'The first event that described the message; null while only statuses are known';
COMMENT ON COLUMN projector.messages.priced_at IS 'Of the status that carried the pricing kept here: the last one that had any';
CREATE INDEX messages_conversation ON projector.messages (phone_number_id, contact, occurred_at);
CREATE INDEX messages_command ON projector.messages (command_id) WHERE command_id IS NOT NULL;

CREATE TABLE projector.message_statuses (
    wamid text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    contact text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    phone_number_id text NOT NULL,
    waba_id text NOT NULL,
    biz_opaque_callback_data text,
    error_code integer,
    error_title text,
    pricing_model text,
    pricing_type text,
    pricing_category text,
    conversation_id text,
    raw text NOT NULL,
    PRIMARY KEY (wamid, status, occurred_at, contact, type)
);
COMMENT ON TABLE projector.message_statuses IS 'Every status Meta reported, each once however often it was delivered';
COMMENT ON COLUMN projector.message_statuses.contact IS 'Empty when Meta named nobody';
COMMENT ON COLUMN projector.message_statuses.biz_opaque_callback_data IS 'The attempt id of our own sends; at most 512 characters, a longer one stands in raw only';
CREATE INDEX message_statuses_opaque ON projector.message_statuses (biz_opaque_callback_data)
    WHERE biz_opaque_callback_data IS NOT NULL;

CREATE TABLE projector.send_outcomes (
    event_id text COLLATE "C" PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    command_id text NOT NULL,
    attempt_no integer NOT NULL,
    attempt_id text,
    kind text NOT NULL,
    lane text NOT NULL,
    type text NOT NULL,
    phone_number_id text NOT NULL,
    waba_id text,
    contact text,
    addressed_to text,
    wa_id text,
    bsuid text,
    wamid text,
    template_name text,
    reason text,
    detail text,
    error_code integer,
    source text NOT NULL
);
COMMENT ON TABLE projector.send_outcomes IS 'What the sender said became of commands: accepted, refused, rejected, unknown, unresolved';
CREATE INDEX send_outcomes_command ON projector.send_outcomes (command_id);

CREATE TABLE projector.account_events (
    content_sha256 bytea PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    waba_id text,
    phone_number_id text,
    field text,
    pointer text NOT NULL,
    raw text NOT NULL
);
COMMENT ON TABLE projector.account_events IS 'Elements of webhooks that have no type of their own, whole, each once';

CREATE TABLE projector.dead_letters (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    pointer text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    consumer_group text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    error text COLLATE "C" NOT NULL,
    record_key bytea,
    record_value bytea,
    headers jsonb NOT NULL,
    PRIMARY KEY (topic, partition, "offset", pointer)
);
COMMENT ON TABLE projector.dead_letters IS 'Records, or elements of them, that a service set aside: where they stood, why, and their bytes';
COMMENT ON COLUMN projector.dead_letters.headers IS 'The original headers: [[name, text]], or [[name, null, base64]] for bytes that are no text';

GRANT USAGE ON SCHEMA projector TO parley_projector, parley_sender;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA projector TO parley_projector;
GRANT SELECT ON projector.positions, projector.contact_aliases, projector.conversations, projector.consents,
    projector.messages, projector.message_statuses TO parley_sender;
