-- Numbers that people gave up, events of every family, and copies of messages beside the messages themselves.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file ban-drop-default, ban-drop-not-null, require-concurrent-index-creation

CREATE TABLE projector.contact_moves (
    alias text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    moved_at timestamptz NOT NULL,
    PRIMARY KEY (alias, contact, moved_at)
);
COMMENT ON TABLE projector.contact_moves IS 'A number (alias) named this contact until moved_at; after that it may be somebody else''s';
CREATE INDEX contact_moves_contact ON projector.contact_moves (contact);

CREATE FUNCTION projector.names_of(given text []) RETURNS TABLE (name text, since timestamptz, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH RECURSIVE known (name, at) AS (
        SELECT g.name COLLATE "C", 'infinity'::timestamptz FROM unnest(given) AS g (name) WHERE g.name IS NOT NULL
        UNION
        SELECT link.name, link.at
        FROM known AS k
        CROSS JOIN LATERAL (
            SELECT a.contact AS name, a.first_seen_at AS at FROM projector.contact_aliases AS a WHERE a.alias = k.name
            UNION ALL
            SELECT a.alias, a.first_seen_at FROM projector.contact_aliases AS a WHERE a.contact = k.name
            UNION ALL
            SELECT m.contact, m.moved_at FROM projector.contact_moves AS m WHERE m.alias = k.name
            UNION ALL
            SELECT m.alias, m.moved_at FROM projector.contact_moves AS m WHERE m.contact = k.name
        ) AS link
        WHERE NOT EXISTS (
            SELECT FROM projector.contact_moves AS gone
            WHERE gone.alias = k.name AND gone.moved_at >= least(k.at, link.at) AND gone.moved_at < greatest(k.at, link.at)
        )
    )

    SELECT DISTINCT
        k.name,
        (SELECT max(m.moved_at) FROM projector.contact_moves AS m WHERE m.alias = k.name AND m.moved_at < k.at),
        (SELECT min(m.moved_at) FROM projector.contact_moves AS m WHERE m.alias = k.name AND m.moved_at >= k.at)
    FROM known AS k
$$;
COMMENT ON FUNCTION projector.names_of IS 'Every name of the person who has the given ones today. A number changes hands: what was written under it counts for this person after `since` and until `until`; null is no bound';

ALTER TABLE projector.contacts
    ADD COLUMN superseded_by text COLLATE "C",
    ADD COLUMN superseded_at timestamptz;
COMMENT ON COLUMN projector.contacts.superseded_by IS 'The contact that this one became: another number or user id of the same person, as of superseded_at';

ALTER TABLE projector.messages
    ADD COLUMN is_copy boolean,
    ADD COLUMN field text;
UPDATE projector.messages SET is_copy = FALSE WHERE event_id IS NOT NULL;
COMMENT ON COLUMN projector.messages.is_copy IS 'Known only as an echo, from history or from a conversation that another app handled; the message itself takes its place';
COMMENT ON COLUMN projector.messages.field IS 'Webhook field that described the message; null for our own sends';

ALTER TABLE projector.account_events
    ALTER COLUMN pointer DROP NOT NULL,
    ADD COLUMN record text NOT NULL DEFAULT 'UnrecognizedChange',
    ADD COLUMN event text,
    ADD COLUMN contact text COLLATE "C";
ALTER TABLE projector.account_events ALTER COLUMN record DROP DEFAULT;
COMMENT ON TABLE projector.account_events IS 'What Meta told besides messages and their statuses: of accounts, numbers, templates, flows, groups, calls, people; each content once';
COMMENT ON COLUMN projector.account_events.record IS 'Name of the event, as in docs/events.md';
COMMENT ON COLUMN projector.account_events.event IS 'Meta''s word for what happened';
CREATE INDEX account_events_record ON projector.account_events (record, occurred_at);

GRANT SELECT, INSERT, UPDATE ON projector.contact_moves TO parley_projector;
GRANT SELECT ON projector.contact_moves TO parley_sender;
