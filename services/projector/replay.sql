-- names --
-- Under which names a person is met, and from when to when each counts (milliseconds; null is no bound).
SELECT
    name,
    (extract(EPOCH FROM since) * 1000)::int8,
    (extract(EPOCH FROM until) * 1000)::int8
FROM projector.names_of(%(given)s::text[])

-- wamids --
-- Messages with a person: what is told of one need not name them.
SELECT m.wamid
FROM projector.names_of(%(given)s::text[]) AS n
JOIN projector.messages AS m ON m.contact = n.name
WHERE (n.since IS NULL OR m.occurred_at IS NULL OR m.occurred_at > n.since)
    AND (n.until IS NULL OR m.occurred_at IS NULL OR m.occurred_at <= n.until)
