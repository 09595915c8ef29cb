-- sources --
-- What is known of sources, and the media id that their content has with a number, if it has one for a while yet.
SELECT
    s.source, s.mime_type, s.size, s.is_animated, extract(epoch FROM now() - s.checked_at)::float8, s.sha256, s.etag, s.last_modified,
    m.media_id
FROM sender.media_sources AS s
LEFT JOIN LATERAL (
    SELECT e.media_id FROM sender.media AS e
    WHERE e.phone_number_id = %(phone_number_id)s AND e.sha256 = s.sha256 AND e.mime_type = s.mime_type
        AND e.gone_at IS NULL AND e.expires_at > now() + make_interval(secs => %(margin_seconds)s)
    ORDER BY e.expires_at DESC LIMIT 1
) AS m ON TRUE
WHERE s.source = ANY(%(source)s::bytea[])

-- uploads --
-- Whose these media ids are, and whether their time is over; ids that Parley did not upload are not among them.
SELECT media_id, phone_number_id, expires_at <= now() FROM sender.media WHERE media_id = ANY(%(media_id)s::text[])

-- saw --
-- A source was found to be this content.
INSERT INTO sender.media_sources (source, sha256, mime_type, size, is_animated, etag, last_modified)
VALUES (%(source)s, %(sha256)s, %(mime_type)s, %(size)s, %(is_animated)s, %(etag)s, %(last_modified)s)
ON CONFLICT (source) DO UPDATE SET
    sha256 = excluded.sha256, mime_type = excluded.mime_type, size = excluded.size, is_animated = excluded.is_animated,
    etag = excluded.etag, last_modified = excluded.last_modified, checked_at = now()

-- unchanged --
-- A source is still what it was.
UPDATE sender.media_sources SET checked_at = now() WHERE source = %(source)s

-- lease --
-- Let one process upload a content for a number. No row: it has an id by now, or another process is at it.
INSERT INTO sender.media_leases AS l (phone_number_id, sha256, mime_type, holder, until)
SELECT %(phone_number_id)s, %(sha256)s, %(mime_type)s, %(holder)s, now() + make_interval(secs => %(seconds)s)
WHERE NOT EXISTS (
    SELECT FROM sender.media AS e
    WHERE e.phone_number_id = %(phone_number_id)s AND e.sha256 = %(sha256)s AND e.mime_type = %(mime_type)s
        AND e.gone_at IS NULL AND e.expires_at > now() + make_interval(secs => %(margin_seconds)s)
)
ON CONFLICT (phone_number_id, sha256, mime_type) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.holder = excluded.holder OR l.until <= now()
RETURNING holder

-- uploaded --
-- Meta has it, under this id; the lease is given back.
WITH lease AS (
    DELETE FROM sender.media_leases
    WHERE phone_number_id = %(phone_number_id)s AND sha256 = %(sha256)s AND mime_type = %(mime_type)s AND holder = %(holder)s
)

INSERT INTO sender.media (media_id, phone_number_id, sha256, mime_type, size, expires_at)
VALUES (
    %(media_id)s, %(phone_number_id)s, %(sha256)s, %(mime_type)s, %(size)s, now() + make_interval(secs => %(lifetime_seconds)s)
)
ON CONFLICT (media_id) DO NOTHING

-- give_back --
-- The upload did not succeed: the next one need not wait.
DELETE FROM sender.media_leases
WHERE phone_number_id = %(phone_number_id)s AND sha256 = %(sha256)s AND mime_type = %(mime_type)s AND holder = %(holder)s

-- forget --
-- Meta does not take these ids. At most one of a content in a day: a content that Meta never takes is not uploaded for ever.
UPDATE sender.media AS m SET gone_at = now()
WHERE m.media_id = ANY(%(media_id)s::text[]) AND m.phone_number_id = %(phone_number_id)s AND m.gone_at IS NULL
    AND NOT EXISTS (
        SELECT FROM sender.media AS e
        WHERE e.phone_number_id = m.phone_number_id AND e.sha256 = m.sha256 AND e.mime_type = m.mime_type
            AND e.gone_at > now() - interval '1 day'
    )
RETURNING m.media_id

-- release --
-- What commands waited for is decided: their turn is now.
UPDATE sender.send_commands SET next_action_at = now()
WHERE command_id = ANY(%(command_id)s::text[]) AND state IN ('waiting', 'retry') AND next_action_at > now()

-- prune --
-- Ids are known for as long again as they were good, sources for as long as an id lives.
WITH old AS (
    DELETE FROM sender.media WHERE expires_at < now() - make_interval(secs => %(lifetime_seconds)s)
),

unused AS (
    DELETE FROM sender.media_sources WHERE checked_at < now() - make_interval(secs => %(lifetime_seconds)s)
)

DELETE FROM sender.media_leases WHERE until < now() - interval '1 hour'
