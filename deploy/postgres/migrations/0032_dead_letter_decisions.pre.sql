-- What operators decided about dead letters, beside the read models: a rebuild makes those anew, and this is in no log.
CREATE TABLE registry.dead_letter_decisions (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    pointer text COLLATE "C" NOT NULL,
    consumer_group text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    decision text COLLATE "C" NOT NULL CHECK (decision IN ('redrive', 'discard')),
    decided_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL,
    why text NOT NULL,
    redrive_id uuid,
    looked_from bigint,
    appended_offset bigint,
    outcome text COLLATE "C" CHECK (outcome IN ('resolved', 'returned', 'not_appended')),
    settled_at timestamptz,
    state text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN decision = 'discard' THEN 'discarded'
            WHEN outcome = 'not_appended' THEN 'open'
            WHEN outcome IS NOT NULL THEN outcome
            WHEN appended_offset IS NOT NULL THEN 'redriven'
            ELSE 'begun'
        END
    ) STORED,
    CHECK ((decision = 'redrive') = (redrive_id IS NOT NULL AND looked_from IS NOT NULL))
);
CREATE INDEX dead_letter_decisions_place ON registry.dead_letter_decisions (topic, partition, "offset", pointer, decision_id);
CREATE INDEX dead_letter_decisions_unsettled ON registry.dead_letter_decisions (decision_id)
WHERE decision = 'redrive' AND outcome IS NULL;
COMMENT ON TABLE registry.dead_letter_decisions IS 'What was decided about dead letters, by whom and why. Of several about one, the last counts. Rows are never deleted';
COMMENT ON COLUMN registry.dead_letter_decisions.topic IS 'With partition, offset and pointer: the dead letter, as projector.dead_letters names it';
COMMENT ON COLUMN registry.dead_letter_decisions.consumer_group IS 'Of the service that set it aside, and that reads it again';
COMMENT ON COLUMN registry.dead_letter_decisions.reason IS 'Why it had been set aside';
COMMENT ON COLUMN registry.dead_letter_decisions.why IS 'The operator''s words';
COMMENT ON COLUMN registry.dead_letter_decisions.redrive_id IS 'In the header of the record that was appended; letters of one record have it together';
COMMENT ON COLUMN registry.dead_letter_decisions.looked_from IS 'End of the partition before the append: not before it is what was appended';
COMMENT ON COLUMN registry.dead_letter_decisions.appended_offset IS 'Where the record stands again; null until that is known';
COMMENT ON COLUMN registry.dead_letter_decisions.outcome IS 'resolved: it went through. returned: it was set aside again. not_appended: a redrive that was interrupted before it had done anything';
COMMENT ON COLUMN registry.dead_letter_decisions.state IS 'What the dead letter is by this: discarded, begun, redriven, resolved, returned, open';

-- A pointer is made of names in somebody's JSON: for operators only. No number of a person: what a producer or an account has as its
-- key is not shown.
CREATE VIEW registry.dead_letters AS
SELECT
    l.topic,
    l.partition,
    l."offset" AS record_offset,
    l.recorded_at AS appended_at,
    l.consumer_group,
    l.reason,
    l.pointer,
    CASE
        WHEN l.topic LIKE 'parley.sends.%' OR l.topic IN (
            'parley.webhooks.v1', 'parley.inbound-messages.v1', 'parley.message-copies.v1', 'parley.message-statuses.v1',
            'parley.contact-events.v1', 'parley.send-outcomes.v1'
        ) THEN substring(encode(l.record_key, 'escape') FROM '^([0-9]{1,32})(?:[/#]|$)')
    END AS phone_number_id,
    coalesce(d.state, 'open') AS state,
    d.decided_at
FROM projector.dead_letters AS l
LEFT JOIN LATERAL (
    SELECT e.state, e.decided_at
    FROM registry.dead_letter_decisions AS e
    WHERE e.topic = l.topic AND e.partition = l.partition AND e."offset" = l."offset" AND e.pointer = l.pointer
    ORDER BY e.decision_id DESC LIMIT 1
) AS d ON TRUE;
COMMENT ON VIEW registry.dead_letters IS 'Dead letters with the state that the last decision gave them; neither keys nor bytes';

CREATE OR REPLACE VIEW analytics.ops_dead_letter AS
SELECT topic, partition, record_offset, appended_at, consumer_group, reason, phone_number_id, state, decided_at
FROM registry.dead_letters;
COMMENT ON VIEW analytics.ops_dead_letter IS 'Records, or elements of them, that a service set aside: where they stood, why, and what became of them. Several elements of one record are several rows';
COMMENT ON COLUMN analytics.ops_dead_letter.phone_number_id IS 'Our number, where the record''s key names it';
COMMENT ON COLUMN analytics.ops_dead_letter.state IS 'open: nobody has decided. begun: a redrive was interrupted. redriven: in the log again, and nobody has looked what became of it. resolved: it went through. returned: it was set aside again, as a row of its own. discarded: an operator gave it up';
COMMENT ON COLUMN analytics.ops_dead_letter.decided_at IS 'When an operator last redrove or discarded it';
