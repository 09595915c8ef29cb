-- counts --
-- How many dead letters there are, by who set them aside, why, and how they stand.
SELECT consumer_group, reason, state, count(*)
FROM registry.dead_letters
WHERE (%(source)s::text IS NULL OR consumer_group = %(source)s)
    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(number)s::text IS NULL OR phone_number_id = %(number)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(since)s::int8 IS NULL OR appended_at >= to_timestamp(%(since)s / 1000.0))
    AND (%(until)s::int8 IS NULL OR appended_at < to_timestamp(%(until)s / 1000.0))
GROUP BY consumer_group, reason, state
ORDER BY consumer_group, reason, state

-- listed --
-- The newest of them; neither key nor bytes.
SELECT
    topic, partition, record_offset, pointer, (extract(epoch FROM appended_at) * 1000)::bigint, consumer_group, reason,
    phone_number_id, state, (extract(epoch FROM decided_at) * 1000)::bigint
FROM registry.dead_letters
WHERE (%(source)s::text IS NULL OR consumer_group = %(source)s)
    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(number)s::text IS NULL OR phone_number_id = %(number)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(since)s::int8 IS NULL OR appended_at >= to_timestamp(%(since)s / 1000.0))
    AND (%(until)s::int8 IS NULL OR appended_at < to_timestamp(%(until)s / 1000.0))
ORDER BY appended_at DESC, topic, partition, record_offset, pointer
LIMIT %(limit)s

-- at_places --
-- Those of some records.
SELECT
    topic, partition, record_offset, pointer, (extract(epoch FROM appended_at) * 1000)::bigint, consumer_group, reason,
    phone_number_id, state, (extract(epoch FROM decided_at) * 1000)::bigint
FROM registry.dead_letters
WHERE (topic, partition, record_offset) IN (SELECT * FROM unnest(%(topic)s::text[], %(partition)s::int4[], %(offset)s::int8[]))
ORDER BY appended_at DESC, topic, partition, record_offset, pointer

-- kept --
-- What was kept of one: the error, the headers, the key and the bytes.
SELECT error, headers, record_key, record_value
FROM projector.dead_letters
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s AND pointer = %(pointer)s

-- decisions --
-- What was decided about one, the first first.
SELECT
    decision, (extract(epoch FROM decided_at) * 1000)::bigint, decided_by, why, appended_offset, outcome,
    (extract(epoch FROM settled_at) * 1000)::bigint
FROM registry.dead_letter_decisions
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s AND pointer = %(pointer)s
ORDER BY decision_id

-- alone --
-- One decides at a time, in each database: until this session ends.
SELECT pg_try_advisory_lock(hashtextextended('parley dlq', 0))

-- decide --
-- Notes decisions before anything is done.
INSERT INTO registry.dead_letter_decisions (
    topic, partition, "offset", pointer, consumer_group, reason, decision, decided_by, why, redrive_id, looked_from
)
SELECT
    l.topic, l.partition, l."offset", l.pointer, l.consumer_group, l.reason, %(decision)s::text, %(decided_by)s::text,
    %(why)s::text, l.redrive_id, l.looked_from
FROM unnest(
    %(topic)s::text[], %(partition)s::int4[], %(offset)s::int8[], %(pointer)s::text[], %(consumer_group)s::text[],
    %(reason)s::text[], %(redrive_id)s::uuid[], %(looked_from)s::int8[]
) AS l (topic, partition, "offset", pointer, consumer_group, reason, redrive_id, looked_from)

-- unsettled --
-- Redrives of which nobody knows yet what became of them.
SELECT decision_id, topic, partition, pointer, consumer_group, redrive_id::text, looked_from, appended_offset
FROM registry.dead_letter_decisions
WHERE decision = 'redrive' AND outcome IS NULL
ORDER BY decision_id

-- appended --
-- Where records stand again.
UPDATE registry.dead_letter_decisions AS d
SET appended_offset = a.appended_offset
FROM unnest(%(redrive_id)s::uuid[], %(appended_offset)s::int8[]) AS a (redrive_id, appended_offset)
WHERE d.redrive_id = a.redrive_id

-- settle --
-- What became of redrives.
UPDATE registry.dead_letter_decisions AS d
SET outcome = s.outcome, settled_at = now()
FROM unnest(%(decision_id)s::int8[], %(outcome)s::text[]) AS s (decision_id, outcome)
WHERE d.decision_id = s.decision_id AND d.outcome IS NULL

-- read_up_to --
-- How far the projector has read.
SELECT topic, partition, next_offset FROM projector.positions WHERE projection = %(projection)s

-- set_aside_again --
-- What is among the dead letters of records that were appended again.
SELECT topic, partition, "offset", pointer
FROM projector.dead_letters
WHERE (topic, partition, "offset") IN (SELECT * FROM unnest(%(topic)s::text[], %(partition)s::int4[], %(offset)s::int8[]))
