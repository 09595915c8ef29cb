-- definitions --
-- What list and events know of templates of a number's account, when the list was last read as a whole, and whether that failed
-- since.
SELECT
    w.name, w.language,
    l.status, l.category, (extract(epoch FROM l.polled_at) * 1000)::bigint, l.parameter_format, l.components,
    t.status, (extract(epoch FROM t.status_at) * 1000)::bigint, t.category, (extract(epoch FROM t.category_at) * 1000)::bigint,
    (extract(epoch FROM t.components_at) * 1000)::bigint, t.waba_id IS NOT NULL,
    EXISTS (SELECT FROM sender.templates AS o WHERE o.waba_id = n.waba_id AND o.name = w.name AND o.language <> w.language),
    (extract(epoch FROM p.polled_at) * 1000)::bigint, coalesce(p.failures > 0, FALSE)
FROM unnest(%(name)s::text[], %(language)s::text[]) AS w (name, language)
LEFT JOIN registry.phone_numbers AS n ON n.phone_number_id = %(phone_number_id)s
LEFT JOIN sender.template_polls AS p ON p.waba_id = n.waba_id
LEFT JOIN sender.templates AS l ON l.waba_id = n.waba_id AND l.name = w.name AND l.language = w.language
LEFT JOIN projector.templates AS t ON t.waba_id = n.waba_id AND t.name = w.name AND t.language = w.language

-- due --
-- Accounts whose list is to be read: its time has come, or somebody waits for it and nothing was wrong the last time.
SELECT w.waba_id
FROM unnest(%(waba_id)s::text[], %(wanted)s::boolean[]) AS w (waba_id, wanted)
LEFT JOIN sender.template_polls AS p ON p.waba_id = w.waba_id
WHERE p.waba_id IS NULL
    OR (
        coalesce(p.leased_until <= now(), TRUE)
        AND (
            p.next_poll_at <= now()
            OR (w.wanted AND p.failures = 0 AND coalesce(p.begun_at <= now() - make_interval(secs => %(demand_seconds)s), TRUE))
        )
    )

-- lease --
-- Nobody else reads this list until the lease is over; no row when somebody does.
INSERT INTO sender.template_polls AS p (waba_id, lease, leased_until, begun_at)
VALUES (%(waba_id)s, 1, now() + make_interval(secs => %(seconds)s), now())
ON CONFLICT (waba_id) DO UPDATE SET
    lease = p.lease + 1, leased_until = excluded.leased_until, begun_at = excluded.begun_at
WHERE coalesce(p.leased_until <= now(), TRUE)
RETURNING p.lease

-- poll_is_over --
-- The list was read as a whole; no row when the lease has gone to somebody else.
UPDATE sender.template_polls
SET leased_until = NULL, polled_at = begun_at, failures = 0, error_code = NULL,
    next_poll_at = now() + make_interval(secs => %(seconds)s)
WHERE waba_id = %(waba_id)s AND lease = %(lease)s
RETURNING polled_at

-- keep_templates --
-- What was listed.
INSERT INTO sender.templates AS s (
    waba_id, name, language, template_id, status, category, parameter_format, components, quality_score, polled_at
)
SELECT
    %(waba_id)s, g.name, g.language, g.template_id, g.status, g.category, g.parameter_format, g.components, g.quality_score,
    %(polled_at)s
FROM unnest(
    %(name)s::text[], %(language)s::text[], %(template_id)s::text[], %(status)s::text[], %(category)s::text[],
    %(parameter_format)s::text[], %(components)s::text[], %(quality_score)s::text[]
) AS g (name, language, template_id, status, category, parameter_format, components, quality_score)
ON CONFLICT (waba_id, name, language) DO UPDATE SET
    template_id = excluded.template_id, status = excluded.status, category = excluded.category,
    parameter_format = excluded.parameter_format, components = excluded.components, quality_score = excluded.quality_score,
    polled_at = excluded.polled_at

-- drop_templates --
-- What is no longer listed.
DELETE FROM sender.templates WHERE waba_id = %(waba_id)s AND polled_at < %(polled_at)s

-- poll_failed --
-- Not before so many seconds again.
UPDATE sender.template_polls
SET leased_until = NULL, failures = failures + 1, error_code = %(error_code)s,
    next_poll_at = now() + make_interval(secs => %(seconds)s * power(2, least(failures, %(most_doublings)s)))
WHERE waba_id = %(waba_id)s AND lease = %(lease)s

-- portfolio --
-- A number's portfolio, and how many people a day that may write to first, as any of its accounts was last told.
SELECT
    f.portfolio_id,
    (
        SELECT m.messaging_limit
        FROM registry.phone_numbers AS o
        JOIN projector.messaging_limits AS m ON m.waba_id = o.waba_id
        WHERE coalesce(o.portfolio_id, o.waba_id) = f.portfolio_id
        ORDER BY m.told_at DESC, m.messaging_limit DESC LIMIT 1
    )
FROM (
    SELECT coalesce(n.portfolio_id, n.waba_id) AS portfolio_id
    FROM registry.phone_numbers AS n WHERE n.phone_number_id = %(phone_number_id)s
) AS f

-- hold_portfolio --
-- From here to the end of the transaction nobody else takes of its room. Whether it is to be counted anew.
INSERT INTO sender.portfolios AS p (portfolio_id, room, messaging_limit, counted_at)
VALUES (%(portfolio_id)s, 0, -1, '-infinity')
ON CONFLICT (portfolio_id) DO UPDATE SET room = p.room
RETURNING
    p.room, p.messaging_limit <> %(messaging_limit)s OR p.counted_at < now() - make_interval(secs => %(seconds)s),
    extract(epoch FROM p.next_room_at - now())::float8

-- forget_recipients --
-- Who no longer counts.
DELETE FROM sender.portfolio_recipients
WHERE portfolio_id = %(portfolio_id)s AND started_at <= now() - make_interval(secs => %(window_seconds)s)

-- count_room --
-- How many more may be written to first.
UPDATE sender.portfolios AS p
SET room = %(messaging_limit)s - f.counted, messaging_limit = %(messaging_limit)s, counted_at = now(),
    next_room_at = f.first_at + make_interval(secs => %(window_seconds)s)
FROM (
    SELECT count(*)::int AS counted, min(r.started_at) AS first_at
    FROM sender.portfolio_recipients AS r WHERE r.portfolio_id = %(portfolio_id)s
) AS f
WHERE p.portfolio_id = %(portfolio_id)s
RETURNING p.room, extract(epoch FROM p.next_room_at - now())::float8

-- counted_recipients --
-- Which of these people count already.
SELECT recipient FROM sender.portfolio_recipients
WHERE portfolio_id = %(portfolio_id)s AND recipient = ANY(%(recipient)s::text[])
    AND started_at > now() - make_interval(secs => %(window_seconds)s)

-- begin_recipients --
-- They are written to first now.
INSERT INTO sender.portfolio_recipients AS r (portfolio_id, recipient, started_at)
SELECT coalesce(n.portfolio_id, n.waba_id), g.recipient, now()
FROM unnest(%(recipient)s::text[]) AS g (recipient)
JOIN registry.phone_numbers AS n ON n.phone_number_id = %(phone_number_id)s
ORDER BY g.recipient
ON CONFLICT (portfolio_id, recipient) DO UPDATE SET started_at = excluded.started_at

-- take_room --
-- So many of them did not count yet.
UPDATE sender.portfolios AS p SET room = p.room - %(taken)s
FROM registry.phone_numbers AS n
WHERE n.phone_number_id = %(phone_number_id)s AND p.portfolio_id = coalesce(n.portfolio_id, n.waba_id)

-- overview --
-- What list and events know of all templates, or of those of one account or name.
SELECT
    coalesce(l.waba_id, t.waba_id), coalesce(l.name, t.name), coalesce(l.language, t.language),
    l.status, l.category, (extract(epoch FROM l.polled_at) * 1000)::bigint, l.parameter_format, l.components,
    t.status, (extract(epoch FROM t.status_at) * 1000)::bigint, t.category, (extract(epoch FROM t.category_at) * 1000)::bigint,
    (extract(epoch FROM t.components_at) * 1000)::bigint, t.waba_id IS NOT NULL,
    (extract(epoch FROM p.polled_at) * 1000)::bigint, coalesce(l.template_id, t.template_id),
    coalesce(t.quality_score, l.quality_score)
FROM sender.templates AS l
FULL JOIN projector.templates AS t ON t.waba_id = l.waba_id AND t.name = l.name AND t.language = l.language
LEFT JOIN sender.template_polls AS p ON p.waba_id = coalesce(l.waba_id, t.waba_id)
WHERE (%(waba_id)s::text IS NULL OR coalesce(l.waba_id, t.waba_id) = %(waba_id)s::text)
    AND (%(name)s::text IS NULL OR coalesce(l.name, t.name) = %(name)s::text)
ORDER BY 2, 3, 1
