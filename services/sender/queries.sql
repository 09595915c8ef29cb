-- lock_ids --
-- Nobody else takes in a command of these ids until the transaction ends: an id is one row over all periods.
SELECT pg_advisory_xact_lock(g.lock) FROM (
    SELECT DISTINCT hashtextextended(i.command_id, 0) AS lock FROM unnest(%(command_id)s::text[]) AS i (command_id) ORDER BY lock
) AS g

-- take_in --
-- Commands become rows in the order given; those whose id is known, in whichever period, stay as they are.
INSERT INTO sender.send_commands (
    command_id, period, shard, fingerprint, phone_number_id, lane, policy, type, content, to_number, bsuid, pair, context_wamid,
    appended_at, expires_at, send_at, next_action_at, options
)
SELECT
    g.command_id, sender.period_of(now()), g.shard, g.fingerprint, g.phone_number_id, g.lane, g.policy, g.type, g.content,
    g.to_number, g.bsuid, g.pair, g.context_wamid, to_timestamp(g.appended_at / 1000.0), to_timestamp(g.expires_at / 1000.0),
    to_timestamp(g.send_at / 1000.0), greatest(now(), to_timestamp(g.not_before / 1000.0)), g.options
FROM unnest(
    %(command_id)s::text[], %(shard)s::int[], %(fingerprint)s::bytea[], %(phone_number_id)s::text[], %(lane)s::smallint[],
    %(policy)s::text[], %(type)s::text[], %(content)s::text[], %(to_number)s::text[], %(bsuid)s::text[], %(pair)s::text[],
    %(context_wamid)s::text[], %(appended_at)s::bigint[], %(expires_at)s::bigint[], %(send_at)s::bigint[],
    %(not_before)s::bigint[], %(options)s::text[]
) WITH ORDINALITY AS g (
    command_id, shard, fingerprint, phone_number_id, lane, policy, type, content, to_number, bsuid, pair, context_wamid,
    appended_at, expires_at, send_at, not_before, options, place
)
WHERE NOT EXISTS (SELECT FROM sender.send_commands AS e WHERE e.command_id = g.command_id)
ORDER BY g.place
RETURNING command_id

-- known --
-- What is kept of commands that came again.
SELECT command_id, fingerprint, outcome FROM sender.send_commands WHERE command_id = ANY(%(command_id)s::text[])

-- tell --
-- Outcomes that are to go to the log.
INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
SELECT g.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
FROM unnest(
    %(shard)s::int[], %(key)s::bytea[], %(value)s::bytea[], %(event_id)s::text[], %(occurred_at)s::bigint[]
) AS g (shard, key, value, event_id, occurred_at)

-- untold --
-- The oldest of what these shards have to tell and the log has not acknowledged.
SELECT seq, topic, key, value, event_id, (extract(epoch FROM occurred_at) * 1000)::bigint
FROM sender.outbox WHERE shard = ANY(%(shards)s::int[]) ORDER BY seq LIMIT %(limit)s

-- told --
-- The log has them.
DELETE FROM sender.outbox WHERE seq = ANY(%(seq)s::bigint[])

-- take_over --
-- From this commit on no earlier owner of these shards can start anything.
INSERT INTO sender.shards AS s (shard, epoch, instance)
SELECT g.shard, 1, %(instance)s FROM unnest(%(shards)s::int[]) AS g (shard) ORDER BY g.shard
ON CONFLICT (shard) DO UPDATE SET epoch = s.epoch + 1, instance = excluded.instance, owned_at = now()
RETURNING shard, epoch

-- orphans --
-- Attempts that an earlier owner started and nobody finished, or that are older than any call lasts.
SELECT
    c.command_id, c.attempts, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, c.period, c.possible_duplicate, c.deferred
FROM sender.send_commands AS c
JOIN sender.send_attempts AS a ON a.command_id = c.command_id AND a.period = c.period AND a.attempt_no = c.attempts
JOIN sender.shards AS s ON s.shard = c.shard
WHERE c.shard = ANY(%(shards)s::int[]) AND c.state = 'started'
    AND (a.epoch < s.epoch OR a.started_at < now() - make_interval(secs => %(started_seconds)s))
ORDER BY c.seq LIMIT %(limit)s

-- recent_starts --
-- How long ago each attempt of the last seconds was started, and its exchange over: what a new owner's limiters take over. To nobody
-- went what is no message, and what is known not to have been written.
SELECT
    a.phone_number_id, a.shard, extract(epoch FROM clock_timestamp() - a.started_at)::float8,
    extract(epoch FROM clock_timestamp() - a.finished_at)::float8,
    CASE WHEN c.type <> 'read' AND a.outcome IS DISTINCT FROM 'not_sent' THEN c.pair END
FROM sender.send_attempts AS a
CROSS JOIN LATERAL (
    -- OFFSET: row by row by its key, never by a join with all commands.
    SELECT k.type, k.pair FROM sender.send_commands AS k WHERE k.command_id = a.command_id AND k.period = a.period OFFSET 0
) AS c
WHERE a.shard = ANY(%(shards)s::int[]) AND a.started_at > clock_timestamp() - make_interval(secs => %(seconds)s)

-- refused_pairs --
-- Recipients whom Meta refused for now, how often, and for how much longer they wait.
SELECT phone_number_id, shard, pair, extract(epoch FROM max(next_action_at) - clock_timestamp())::float8, max(attempts)
FROM sender.send_commands
WHERE shard = ANY(%(shards)s::int[]) AND state = 'retry' AND reason = 'pair_limit'
GROUP BY phone_number_id, shard, pair

-- backlog --
-- Numbers with something to do, and how much.
SELECT phone_number_id, shard, count(*) FROM sender.send_commands
WHERE shard = ANY(%(shards)s::int[]) AND state IN ('waiting', 'retry') GROUP BY phone_number_id, shard

-- pick --
-- The next commands of a number with everything the gate looks at. No row: the shard has another owner by now.
-- Each lane offers what has been due longest, and `urgent`, `place` and `step` say how the offers of the lanes mix. A command waits for
-- earlier ones of the same lane and recipient, but not to expire, nor for one whose own time is yet to come, and for those that a stop
-- holds only where it is held itself. What finds some before it is set aside for about as long as the pair limit makes them take, so
-- that one recipient's thousands are looked at once and not each time. While the number pauses only what expired is picked.
WITH fence AS MATERIALIZED (
    SELECT s.shard FROM sender.shards AS s WHERE s.shard = %(shard)s AND s.epoch = %(epoch)s FOR SHARE
),

due AS MATERIALIZED (
    SELECT d.command_id, d.period, d.lane, d.next_action_at, d.seq, e.earlier
    FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS l (lane)
    CROSS JOIN LATERAL (
        SELECT c.command_id, c.period, c.phone_number_id, c.lane, c.pair, c.next_action_at, c.seq, c.held_by
        FROM sender.send_commands AS c
        WHERE c.phone_number_id = %(phone_number_id)s AND c.shard = %(shard)s AND c.lane = l.lane
            AND c.state IN ('waiting', 'retry') AND c.next_action_at <= now()
        ORDER BY c.next_action_at, c.seq LIMIT %(looked_at)s
    ) AS d
    CROSS JOIN LATERAL (
        SELECT count(*) AS earlier FROM (
            SELECT FROM sender.send_commands AS o
            WHERE o.phone_number_id = d.phone_number_id AND o.lane = d.lane AND o.pair = d.pair AND o.seq < d.seq
                AND o.state IN ('waiting', 'retry', 'started') AND (o.held_by IS NULL OR d.held_by IS NOT NULL)
                AND coalesce(o.send_at <= now(), TRUE)
            LIMIT 100
        ) AS before
    ) AS e
    WHERE %(sending)s AND EXISTS (SELECT FROM fence)
),

behind AS MATERIALIZED (
    SELECT c.command_id, c.period, d.earlier
    FROM due AS d
    JOIN sender.send_commands AS c ON c.command_id = d.command_id AND c.period = d.period
    WHERE d.earlier > 0 AND c.state IN ('waiting', 'retry') AND c.expires_at > now()
    FOR UPDATE OF c SKIP LOCKED
),

set_aside AS (
    UPDATE sender.send_commands AS c
    SET next_action_at = now() + make_interval(secs => greatest(1, b.earlier + 1 - %(burst)s) * %(pair_seconds)s),
        reason = CASE c.state WHEN 'waiting' THEN 'pair_limit' ELSE c.reason END
    FROM behind AS b WHERE c.command_id = b.command_id AND c.period = b.period
),

first AS MATERIALIZED (
    SELECT o.command_id, o.period
    FROM (
        SELECT d.command_id, d.period, d.lane, row_number() OVER (PARTITION BY d.lane ORDER BY d.next_action_at, d.seq) AS k
        FROM due AS d WHERE d.earlier = 0
    ) AS o
    JOIN unnest(%(lane)s::smallint[], %(urgent)s::int[], %(place)s::float8[], %(step)s::float8[]) AS s (lane, urgent, place, step)
        ON s.lane = o.lane
    ORDER BY o.k > s.urgent, CASE WHEN o.k <= s.urgent THEN o.lane ELSE s.place + s.step * o.k END, o.lane, o.k
    LIMIT %(limit)s
),

expired AS MATERIALIZED (
    SELECT c.command_id, c.period FROM sender.send_commands AS c
    WHERE c.phone_number_id = %(phone_number_id)s AND c.shard = %(shard)s
        AND c.state IN ('waiting', 'retry') AND c.expires_at <= now() AND EXISTS (SELECT FROM fence)
    ORDER BY c.expires_at LIMIT %(expired)s
),

picked AS MATERIALIZED (
    SELECT c.*
    FROM (SELECT f.command_id, f.period FROM first AS f UNION SELECT x.command_id, x.period FROM expired AS x) AS w
    JOIN sender.send_commands AS c ON c.command_id = w.command_id AND c.period = w.period
    WHERE c.state IN ('waiting', 'retry')
    FOR UPDATE OF c
)

SELECT
    p.command_id, p.attempts, p.phone_number_id, p.lane, p.type, p.content, p.to_number, p.bsuid, p.context_wamid, p.policy,
    (extract(epoch FROM p.appended_at) * 1000)::bigint, (extract(epoch FROM p.received_at) * 1000)::bigint,
    (extract(epoch FROM p.expires_at) * 1000)::bigint,
    p.options, n.state, n.display_phone_number,
    (extract(epoch FROM k.last_inbound_at) * 1000)::bigint,
    (extract(epoch FROM k.all_granted_at) * 1000)::bigint, (extract(epoch FROM k.all_withdrawn_at) * 1000)::bigint,
    (extract(epoch FROM k.authentication_granted_at) * 1000)::bigint,
    (extract(epoch FROM k.authentication_withdrawn_at) * 1000)::bigint,
    (extract(epoch FROM k.utility_granted_at) * 1000)::bigint, (extract(epoch FROM k.utility_withdrawn_at) * 1000)::bigint,
    (extract(epoch FROM k.marketing_granted_at) * 1000)::bigint, (extract(epoch FROM k.marketing_withdrawn_at) * 1000)::bigint,
    k.is_undeliverable, x.phone_number_id,
    (extract(epoch FROM p.send_at) * 1000)::bigint,
    p.period, p.possible_duplicate, p.deferred, n.tenant_id,
    (extract(epoch FROM now()) * 1000)::bigint
FROM fence
LEFT JOIN picked AS p ON TRUE
LEFT JOIN registry.phone_numbers AS n ON n.phone_number_id = p.phone_number_id
LEFT JOIN LATERAL (
    -- Every name the person is known by: a number may have become a BSUID, evidence may stand under either. A number also changes
    -- hands: words and grants count for the time it was this person's, a withdrawal always.
    WITH who AS MATERIALIZED (
        SELECT o.name, o.since, o.until FROM projector.names_of(ARRAY[p.pair, p.bsuid]) AS o
    ),

    evidence AS (
        SELECT
            e.category, e.withdrawn_at, CASE WHEN coalesce(e.granted_at > o.since, TRUE) AND coalesce(e.granted_at <= o.until,
            TRUE) THEN e.granted_at END AS granted_at
        FROM who AS o
        CROSS JOIN LATERAL (
            -- OFFSET: by the key, name for name, and never by a join with all evidence that the number has.
            SELECT g.category, g.granted_at, g.withdrawn_at FROM projector.consents AS g
            WHERE g.phone_number_id = p.phone_number_id AND g.contact = o.name
            OFFSET 0
        ) AS e
    )

    SELECT
        max(e.granted_at) FILTER (WHERE e.category = 'all') AS all_granted_at,
        max(e.withdrawn_at) FILTER (WHERE e.category = 'all') AS all_withdrawn_at,
        max(e.granted_at) FILTER (WHERE e.category = 'authentication') AS authentication_granted_at,
        max(e.withdrawn_at) FILTER (WHERE e.category = 'authentication') AS authentication_withdrawn_at,
        max(e.granted_at) FILTER (WHERE e.category = 'utility') AS utility_granted_at,
        max(e.withdrawn_at) FILTER (WHERE e.category = 'utility') AS utility_withdrawn_at,
        max(e.granted_at) FILTER (WHERE e.category = 'marketing') AS marketing_granted_at,
        max(e.withdrawn_at) FILTER (WHERE e.category = 'marketing') AS marketing_withdrawn_at,
        (
            SELECT max(v.last_inbound_at)
            FROM who AS o
            CROSS JOIN LATERAL (
                SELECT w.last_inbound_at FROM projector.conversations AS w
                WHERE w.phone_number_id = p.phone_number_id AND w.contact = o.name
                OFFSET 0
            ) AS v
            WHERE coalesce(v.last_inbound_at > o.since, TRUE) AND coalesce(v.last_inbound_at <= o.until, TRUE)
        ) AS last_inbound_at,
        -- The last messages whose fate is known, all of them undeliverable, and nothing heard since the first of them. Only the
        -- newest few are looked at; after a month it is tried again.
        (p.type = 'template' OR p.options IS NOT NULL) AND coalesce((
            SELECT
                count(*) = %(undeliverable)s AND bool_and(f.error_code = 131026 AND f.delivered_at IS NULL)
                AND max(f.failed_at) > now() - interval '30 days'
                AND NOT EXISTS (
                    SELECT FROM who AS o
                    CROSS JOIN LATERAL (
                        SELECT w.last_inbound_at FROM projector.conversations AS w
                        WHERE w.phone_number_id = p.phone_number_id AND w.contact = o.name
                        OFFSET 0
                    ) AS v
                    WHERE v.last_inbound_at > min(f.failed_at)
                )
            FROM (
                SELECT m.failed_at, m.delivered_at, m.error_code
                FROM who AS o
                CROSS JOIN LATERAL (
                    SELECT m.occurred_at, m.failed_at, m.delivered_at, m.error_code
                    FROM projector.messages AS m
                    WHERE m.phone_number_id = p.phone_number_id AND m.contact = o.name AND m.direction = 'outbound'
                        AND m.occurred_at IS NOT NULL
                    ORDER BY m.occurred_at DESC LIMIT 20
                ) AS m
                WHERE m.failed_at IS NOT NULL OR m.delivered_at IS NOT NULL
                ORDER BY m.occurred_at DESC LIMIT %(undeliverable)s
            ) AS f
        ), FALSE) AS is_undeliverable
    FROM evidence AS e
) AS k ON TRUE
LEFT JOIN projector.messages AS x ON x.wamid = p.context_wamid
ORDER BY p.lane, p.seq

-- start --
-- The attempts stand before any byte of theirs goes out.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(period)s::int[], %(attempt_no)s::int[], %(attempt_id)s::text[], %(type)s::text[],
        %(content)s::text[]
    ) AS g (command_id, period, attempt_no, attempt_id, type, content)
),

attempts AS (
    INSERT INTO sender.send_attempts (command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id)
    SELECT command_id, period, attempt_no, attempt_id, %(shard)s, %(epoch)s, %(phone_number_id)s FROM given
)

UPDATE sender.send_commands AS c
SET state = 'started', attempts = g.attempt_no, type = coalesce(g.type, c.type), content = coalesce(g.content, c.content),
    held_by = NULL, updated_at = now()
FROM given AS g WHERE c.command_id = g.command_id AND c.period = g.period

-- give_up --
-- The gate said no, or the time is over, and the log will be told.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(period)s::int[], %(state)s::text[], %(reason)s::text[], %(key)s::bytea[], %(value)s::bytea[],
        %(event_id)s::text[], %(occurred_at)s::bigint[]
    ) AS g (command_id, period, state, reason, key, value, event_id, occurred_at)
),

box AS (
    INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
    SELECT %(shard)s, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0) FROM given AS g
)

UPDATE sender.send_commands AS c SET state = g.state, reason = g.reason, outcome = g.value, updated_at = now()
FROM given AS g WHERE c.command_id = g.command_id AND c.period = g.period

-- park --
-- Ask again a little later, and not later than it may be sent; what waits says what for.
UPDATE sender.send_commands AS c
SET next_action_at = least(now() + make_interval(secs => g.seconds), c.expires_at),
    reason = CASE c.state WHEN 'waiting' THEN coalesce(g.reason, c.reason) ELSE c.reason END, held_by = g.held_by
FROM unnest(%(command_id)s::text[], %(period)s::int[], %(seconds)s::float8[], %(reason)s::text[], %(held_by)s::text[])
    AS g (command_id, period, seconds, reason, held_by)
WHERE c.command_id = g.command_id AND c.period = g.period

-- release --
-- These are out of the way: what was set aside behind them is looked at now, and no longer when their time would have been over.
WITH next AS MATERIALIZED (
    SELECT DISTINCT ON (n.command_id) n.command_id, n.period
    FROM unnest(%(command_id)s::text[], %(period)s::int[]) AS g (command_id, period)
    JOIN sender.send_commands AS c ON c.command_id = g.command_id AND c.period = g.period
        AND (c.state NOT IN ('waiting', 'retry', 'started') OR c.held_by IS NOT NULL)
    CROSS JOIN LATERAL (
        SELECT o.command_id, o.period, o.state, o.reason, o.next_action_at FROM sender.send_commands AS o
        WHERE o.phone_number_id = c.phone_number_id AND o.lane = c.lane AND o.pair = c.pair
            AND o.state IN ('waiting', 'retry', 'started') AND o.held_by IS NULL
        ORDER BY o.seq LIMIT 1
    ) AS n
    WHERE n.state = 'waiting' AND n.reason = 'pair_limit' AND n.next_action_at > now()
)

UPDATE sender.send_commands AS c SET next_action_at = now()
FROM (
    SELECT w.command_id, w.period FROM next AS n
    JOIN sender.send_commands AS w ON w.command_id = n.command_id AND w.period = n.period
    FOR UPDATE OF w SKIP LOCKED
) AS n
WHERE c.command_id = n.command_id AND c.period = n.period AND c.state = 'waiting'

-- kept_back --
-- The next commands of a number, of all that wait, whose producers were not told that it is held, and where the look ended.
WITH looked AS MATERIALIZED (
    SELECT c.* FROM sender.send_commands AS c
    WHERE c.phone_number_id = %(phone_number_id)s AND c.shard = %(shard)s AND c.state IN ('waiting', 'retry')
        AND c.expires_at >= to_timestamp(%(expires_at)s / 1000.0)
        AND (c.expires_at, c.seq) > (to_timestamp(%(expires_at)s / 1000.0), %(seq)s)
    ORDER BY c.expires_at, c.seq LIMIT %(limit)s
)

SELECT
    c.command_id, c.attempts, NULL, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard, c.options,
    c.period, c.possible_duplicate, c.deferred, c.seq,
    c.next_action_at <= now() AND c.expires_at > now() AND %(reason)s <> ALL(c.deferred),
    (extract(epoch FROM c.expires_at) * 1000)::bigint
FROM looked AS c ORDER BY c.expires_at, c.seq

-- defer --
-- Tell why commands wait, each cause of each once.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(period)s::int[], %(reason)s::text[], %(key)s::bytea[], %(value)s::bytea[],
        %(event_id)s::text[], %(occurred_at)s::bigint[]
    ) AS g (command_id, period, reason, key, value, event_id, occurred_at)
),

commands AS (
    UPDATE sender.send_commands AS c SET deferred = c.deferred || g.reason, outcome = g.value
    FROM given AS g
    WHERE c.command_id = g.command_id AND c.period = g.period AND c.state IN ('waiting', 'retry') AND g.reason <> ALL(c.deferred)
    RETURNING c.command_id, c.shard
)

INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
SELECT c.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
FROM given AS g JOIN commands AS c ON c.command_id = g.command_id
RETURNING event_id

-- next_due --
-- Seconds until the next command of a number wants a look, to be sent or to expire; null when none ever will.
SELECT extract(epoch FROM min(d.at) - clock_timestamp())::float8 FROM (
    SELECT d.next_action_at AS at
    FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS l (lane)
    CROSS JOIN LATERAL (
        SELECT c.next_action_at FROM sender.send_commands AS c
        WHERE c.phone_number_id = %(phone_number_id)s AND c.shard = %(shard)s AND c.lane = l.lane AND c.state IN ('waiting', 'retry')
        ORDER BY c.next_action_at LIMIT 1
    ) AS d

    UNION ALL

    SELECT x.expires_at FROM (
        SELECT c.expires_at FROM sender.send_commands AS c
        WHERE c.phone_number_id = %(phone_number_id)s AND c.shard = %(shard)s AND c.state IN ('waiting', 'retry')
        ORDER BY c.expires_at LIMIT 1
    ) AS x
) AS d

-- record --
-- What attempts proved, what that makes of their commands, and what the log is to be told: together or not at all. An answer
-- counts while its attempt is under way. One that comes after the attempt was given up counts when it says no, and then only ends
-- a command of which every other attempt is known not to be accepted; an acceptance that late is for `settle`.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(period)s::int[], %(attempt_no)s::int[], %(outcome)s::text[], %(state)s::text[],
        %(reason)s::text[], %(error_code)s::int[], %(trace_id)s::text[], %(wamid)s::text[], %(seconds)s::float8[],
        %(possible_duplicate)s::bool[], %(deferral)s::text[], %(key)s::bytea[], %(value)s::bytea[], %(event_id)s::text[],
        %(occurred_at)s::bigint[]
    ) AS g (
        command_id, period, attempt_no, outcome, state, reason, error_code, trace_id, wamid, seconds, possible_duplicate,
        deferral, key, value, event_id, occurred_at
    )
),

held AS MATERIALIZED (
    SELECT c.command_id, c.period, c.state, c.attempts FROM given AS g
    JOIN sender.send_commands AS c ON c.command_id = g.command_id AND c.period = g.period
    ORDER BY c.command_id FOR UPDATE OF c
),

attempts AS (
    UPDATE sender.send_attempts AS a
    SET outcome = g.outcome, finished_at = now(), reason = CASE WHEN g.outcome = 'unresolved' THEN a.reason ELSE g.reason END,
        error_code = coalesce(g.error_code, a.error_code), trace_id = coalesce(g.trace_id, a.trace_id), wamid = g.wamid
    FROM given AS g JOIN held AS h ON h.command_id = g.command_id
    WHERE a.command_id = g.command_id AND a.period = g.period AND a.attempt_no = g.attempt_no
        AND (
            (a.outcome IS NULL AND h.state = 'started' AND h.attempts = g.attempt_no)
            OR (a.outcome IN ('unknown', 'unresolved') AND g.outcome = 'rejected' AND h.state <> 'started')
            OR (a.outcome = 'unknown' AND g.outcome = 'unresolved' AND h.state = 'unknown')
        )
    RETURNING a.command_id
),

commands AS (
    UPDATE sender.send_commands AS c
    SET state = g.state,
        next_action_at = CASE
            WHEN g.state = 'unknown' THEN now() + make_interval(secs => g.seconds)
            ELSE least(now() + make_interval(secs => g.seconds), c.expires_at)
        END,
        reason = g.reason, error_code = g.error_code, wamid = g.wamid, outcome = coalesce(g.value, c.outcome),
        possible_duplicate = c.possible_duplicate OR g.possible_duplicate,
        deferred = CASE WHEN g.deferral IS NULL THEN c.deferred ELSE c.deferred || g.deferral END, updated_at = now()
    FROM given AS g
    JOIN held AS h ON h.command_id = g.command_id
    LEFT JOIN attempts AS a ON a.command_id = g.command_id
    WHERE c.command_id = g.command_id AND c.period = g.period AND h.attempts = g.attempt_no
        AND (
            (h.state = 'started' AND a.command_id IS NOT NULL)
            OR (h.state = 'unknown' AND g.outcome = 'unresolved')
            OR (
                h.state IN ('unknown', 'unresolved') AND g.outcome = 'rejected' AND a.command_id IS NOT NULL
                AND NOT EXISTS (
                    SELECT FROM sender.send_attempts AS o
                    WHERE o.command_id = g.command_id AND o.period = g.period AND o.attempt_no <> g.attempt_no
                        AND o.outcome IN ('accepted', 'unknown', 'unresolved')
                )
            )
        )
    RETURNING c.command_id, c.shard
),

box AS (
    INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
    SELECT c.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
    FROM given AS g JOIN commands AS c ON c.command_id = g.command_id
    WHERE g.value IS NOT NULL
)

SELECT command_id FROM commands

-- begun --
-- Which of these attempts stand under this epoch, without an outcome.
SELECT a.command_id FROM sender.send_attempts AS a
JOIN unnest(%(command_id)s::text[], %(period)s::int[], %(attempt_no)s::int[]) AS g (command_id, period, attempt_no)
    ON a.command_id = g.command_id AND a.period = g.period AND a.attempt_no = g.attempt_no
WHERE a.epoch = %(epoch)s AND a.outcome IS NULL

-- ended --
-- Which of these attempts have an outcome.
SELECT a.command_id FROM sender.send_attempts AS a
JOIN unnest(%(command_id)s::text[], %(period)s::int[], %(attempt_no)s::int[]) AS g (command_id, period, attempt_no)
    ON a.command_id = g.command_id AND a.period = g.period AND a.attempt_no = g.attempt_no
WHERE a.outcome IS NOT NULL

-- evidence --
-- Attempts without an answer, the last of their commands or earlier ones, of which a status webhook tells that Meta had accepted
-- them. While another attempt of the command is under way they are left for the next look.
SELECT
    c.command_id, a.attempt_no, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, c.period, c.possible_duplicate, c.deferred, s.wamid, a.outcome, a.error_code
FROM sender.send_attempts AS a
JOIN sender.send_commands AS c ON c.command_id = a.command_id AND c.period = a.period
CROSS JOIN LATERAL (
    SELECT m.wamid FROM projector.message_statuses AS m
    WHERE m.biz_opaque_callback_data = a.attempt_id AND m.phone_number_id = c.phone_number_id AND m.type = 'message'
    ORDER BY m.occurred_at LIMIT 1
) AS s
WHERE a.shard = ANY(%(shards)s::int[]) AND a.outcome IN ('unknown', 'unresolved') AND a.outcome = ANY(%(outcomes)s::text[])
    AND c.state <> 'started'
LIMIT %(limit)s

-- overdue --
-- Attempts that nobody told us anything about in time, and what says whether their commands are sent once more.
SELECT
    c.command_id, c.attempts, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, c.period, c.possible_duplicate, c.deferred, c.policy, a.reason, (extract(epoch FROM c.expires_at) * 1000)::bigint,
    coalesce(t.resend_once, ARRAY[]::text[])
FROM sender.send_commands AS c
JOIN sender.send_attempts AS a ON a.command_id = c.command_id AND a.period = c.period AND a.attempt_no = c.attempts
LEFT JOIN registry.phone_numbers AS n ON n.phone_number_id = c.phone_number_id
LEFT JOIN registry.tenants AS t ON t.tenant_id = n.tenant_id
WHERE c.shard = ANY(%(shards)s::int[]) AND c.state = 'unknown' AND c.next_action_at <= now()
LIMIT %(limit)s

-- open --
-- How many attempts of these shards are without an answer, by state.
SELECT state, count(*) FROM sender.send_commands
WHERE shard = ANY(%(shards)s::int[]) AND state IN ('started', 'unknown', 'unresolved') GROUP BY state

-- positions --
-- How far the read models are in what the gate depends on.
SELECT topic, partition, min(next_offset) FROM projector.positions WHERE topic = ANY(%(topics)s::text[]) GROUP BY topic, partition

-- contradictions --
-- Attempts that were taken for refused or not sent, of which a status webhook tells that Meta had accepted them. While a later
-- attempt of the command is under way they are left for the next look.
SELECT
    c.command_id, a.attempt_no, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, c.period, c.possible_duplicate, c.deferred, s.wamid, a.outcome, a.error_code
FROM sender.send_attempts AS a
JOIN sender.send_commands AS c ON c.command_id = a.command_id AND c.period = a.period
CROSS JOIN LATERAL (
    SELECT m.wamid FROM projector.message_statuses AS m
    WHERE m.biz_opaque_callback_data = a.attempt_id AND m.phone_number_id = c.phone_number_id AND m.type = 'message'
    ORDER BY m.occurred_at LIMIT 1
) AS s
WHERE a.shard = ANY(%(shards)s::int[]) AND a.outcome IN ('rejected', 'retry', 'not_sent')
    AND a.finished_at > now() - make_interval(secs => %(seconds)s) AND c.state <> 'started'
LIMIT %(limit)s

-- settle --
-- Meta has these: the attempts, their commands unless another attempt of it was accepted before, the codes that lied, and the
-- log. A command of which two were accepted is told as that, once.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(period)s::int[], %(attempt_no)s::int[], %(attempt_id)s::text[], %(wamid)s::text[],
        %(error_code)s::int[], %(key)s::bytea[], %(value)s::bytea[], %(event_id)s::text[], %(occurred_at)s::bigint[],
        %(duplicate_value)s::bytea[], %(duplicate_event_id)s::text[]
    ) AS g (
        command_id, period, attempt_no, attempt_id, wamid, error_code, key, value, event_id, occurred_at, duplicate_value,
        duplicate_event_id
    )
),

-- Locked first: a command whose next attempt is being started this moment is not touched, nor is its evidence used up.
held AS MATERIALIZED (
    SELECT c.command_id, c.shard, c.state, c.is_duplicate
    FROM (SELECT DISTINCT g.command_id, g.period FROM given AS g) AS g
    JOIN sender.send_commands AS c ON c.command_id = g.command_id AND c.period = g.period
    WHERE c.state <> 'started'
    ORDER BY c.command_id FOR UPDATE OF c
),

attempts AS (
    UPDATE sender.send_attempts AS a SET outcome = 'accepted', wamid = g.wamid
    FROM given AS g JOIN held AS h ON h.command_id = g.command_id
    WHERE a.command_id = g.command_id AND a.period = g.period AND a.attempt_no = g.attempt_no
        AND a.outcome IN ('unknown', 'unresolved', 'rejected', 'retry', 'not_sent')
    RETURNING a.command_id, a.attempt_no
),

codes AS (
    INSERT INTO sender.distrusted_codes (error_code, attempt_id)
    SELECT DISTINCT ON (g.error_code) g.error_code, g.attempt_id
    FROM given AS g JOIN attempts AS a ON a.command_id = g.command_id AND a.attempt_no = g.attempt_no
    WHERE g.error_code IS NOT NULL
    ORDER BY g.error_code
    ON CONFLICT (error_code) DO NOTHING
),

-- Whether it is the first acceptance of its command, the second, or one more.
counted AS (
    SELECT g.*, h.shard, h.is_duplicate,
        row_number() OVER (PARTITION BY g.command_id ORDER BY g.attempt_no) + (h.state = 'accepted')::int AS nth
    FROM given AS g
    JOIN attempts AS a ON a.command_id = g.command_id AND a.attempt_no = g.attempt_no
    JOIN held AS h ON h.command_id = g.command_id
),

commands AS (
    UPDATE sender.send_commands AS c
    SET state = 'accepted', reason = CASE WHEN n.nth = 1 THEN NULL ELSE c.reason END,
        error_code = CASE WHEN n.nth = 1 THEN NULL ELSE c.error_code END,
        wamid = CASE WHEN n.nth = 1 THEN n.wamid ELSE c.wamid END,
        outcome = CASE WHEN n.nth = 1 THEN n.value ELSE c.outcome END,
        is_duplicate = c.is_duplicate OR n.last >= 2, updated_at = now()
    FROM (
        SELECT DISTINCT ON (o.command_id) o.*, max(o.nth) OVER (PARTITION BY o.command_id) AS last
        FROM counted AS o ORDER BY o.command_id, o.nth
    ) AS n
    WHERE c.command_id = n.command_id AND c.period = n.period
),

box AS (
    INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
    SELECT
        o.shard, o.key, CASE WHEN o.nth = 1 THEN o.value ELSE o.duplicate_value END,
        CASE WHEN o.nth = 1 THEN o.event_id ELSE o.duplicate_event_id END, to_timestamp(o.occurred_at / 1000.0)
    FROM counted AS o
    WHERE o.nth = 1 OR (o.nth = 2 AND NOT o.is_duplicate)
    ORDER BY o.command_id, o.nth
)

SELECT command_id, attempt_no, nth >= 2, nth = 1 OR (nth = 2 AND NOT is_duplicate) FROM counted

-- read_to --
-- Up to when failures that Meta told of were looked through for these shards, in the table as it is since it was last rebuilt.
SELECT min(r.read_to), count(*) FROM sender.failures_read AS r
WHERE r.shard = ANY(%(shards)s::int[]) AND r.relation = 'projector.message_statuses'::regclass::oid::bigint

-- keep_read_to --
-- Remember it for whoever comes after.
INSERT INTO sender.failures_read (shard, read_to, relation)
SELECT g.shard, %(read_to)s, %(relation)s FROM unnest(%(shards)s::int[]) AS g (shard) ORDER BY g.shard
ON CONFLICT (shard) DO UPDATE SET read_to = excluded.read_to, relation = excluded.relation

-- find_failures --
-- Failures that Meta told after their messages were accepted, from where the last look ended: those of our attempts are noted,
-- each code of a command once. How many were looked at, when the last of them was written, and the clock they are dated by.
WITH looked AS MATERIALIZED (
    SELECT m.biz_opaque_callback_data, m.phone_number_id, m.wamid, m.error_code, m.written_at
    FROM projector.message_statuses AS m
    WHERE m.status = 'failed' AND m.type = 'message' AND m.biz_opaque_callback_data IS NOT NULL AND m.written_at >= %(read_to)s
    ORDER BY m.written_at LIMIT %(limit)s
),

found AS (
    INSERT INTO sender.late_failures (command_id, period, error_code, attempt_no, shard, wamid)
    SELECT DISTINCT ON (a.command_id, a.period, coalesce(m.error_code, -1))
        a.command_id, a.period, coalesce(m.error_code, -1), a.attempt_no, a.shard, m.wamid
    FROM looked AS m
    JOIN sender.send_attempts AS a ON a.attempt_id = m.biz_opaque_callback_data AND a.phone_number_id = m.phone_number_id
    WHERE a.shard = ANY(%(shards)s::int[])
    ORDER BY a.command_id, a.period, coalesce(m.error_code, -1), a.attempt_no
    ON CONFLICT DO NOTHING
)

SELECT count(*), max(l.written_at), clock_timestamp(), 'projector.message_statuses'::regclass::oid::bigint FROM looked AS l

-- untold_failures --
-- Failures of accepted attempts that the log was not told of.
SELECT
    c.command_id, a.attempt_no, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, c.period, c.possible_duplicate, c.deferred, f.wamid, f.error_code
FROM sender.late_failures AS f
JOIN sender.send_attempts AS a ON a.command_id = f.command_id AND a.period = f.period AND a.attempt_no = f.attempt_no
JOIN sender.send_commands AS c ON c.command_id = f.command_id AND c.period = f.period
WHERE f.shard = ANY(%(shards)s::int[]) AND f.told_at IS NULL AND a.outcome = 'accepted'
LIMIT %(limit)s

-- tell_failures --
-- The log will be told of them.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(period)s::int[], %(error_code)s::int[], %(key)s::bytea[], %(value)s::bytea[],
        %(event_id)s::text[], %(occurred_at)s::bigint[]
    ) AS g (command_id, period, error_code, key, value, event_id, occurred_at)
),

failures AS (
    UPDATE sender.late_failures AS f SET told_at = now() FROM given AS g
    WHERE f.command_id = g.command_id AND f.period = g.period AND f.error_code = g.error_code AND f.told_at IS NULL
    RETURNING f.command_id, f.error_code, f.shard
)

INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
SELECT f.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
FROM given AS g JOIN failures AS f ON f.command_id = g.command_id AND f.error_code = g.error_code
RETURNING event_id

-- asked --
-- Commands that an operator wants sent again, and whether Meta may have one of their attempts.
SELECT
    c.command_id, c.attempts, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, c.period, EXISTS (     SELECT FROM sender.send_attempts AS o     WHERE o.command_id = c.command_id AND o.period =
    c.period AND o.outcome IN ('unknown', 'unresolved') ), c.deferred, r.resend_id
FROM sender.resends AS r
JOIN sender.send_commands AS c ON c.command_id = r.command_id AND c.period = r.period
LEFT JOIN sender.send_attempts AS a ON a.command_id = c.command_id AND a.period = c.period AND a.attempt_no = c.attempts
WHERE r.shard = ANY(%(shards)s::int[]) AND r.done_at IS NULL
ORDER BY r.resend_id LIMIT %(limit)s

-- resend --
-- They are tried again, with as much time as they had at first; what has gone on meanwhile is left alone.
WITH given AS (
    SELECT * FROM unnest(
        %(resend_id)s::bigint[], %(command_id)s::text[], %(period)s::int[], %(possible_duplicate)s::bool[], %(key)s::bytea[],
        %(value)s::bytea[], %(event_id)s::text[], %(occurred_at)s::bigint[]
    ) AS g (resend_id, command_id, period, possible_duplicate, key, value, event_id, occurred_at)
),

commands AS (
    UPDATE sender.send_commands AS c
    SET state = 'retry', next_action_at = now(), updated_at = now(), outcome = g.value, deferred = '{}',
        possible_duplicate = g.possible_duplicate,
        expires_at = greatest(
            c.expires_at, now() + greatest(interval '1 minute', least(c.expires_at - c.appended_at, interval '30 days'))
        )
    FROM (SELECT DISTINCT ON (o.command_id) o.* FROM given AS o ORDER BY o.command_id, o.resend_id) AS g
    WHERE c.command_id = g.command_id AND c.period = g.period AND c.state = ANY(%(states)s::text[])
    RETURNING g.resend_id, c.shard
),

done AS (
    UPDATE sender.resends AS r SET done_at = now(), is_sent = c.resend_id IS NOT NULL
    FROM given AS g LEFT JOIN commands AS c ON c.resend_id = g.resend_id
    WHERE r.resend_id = g.resend_id
)

INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
SELECT c.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
FROM given AS g JOIN commands AS c ON c.resend_id = g.resend_id
RETURNING event_id

-- keep_periods --
-- Room for what comes, and what is old goes.
SELECT added, dropped FROM sender.keep_periods()

-- room_until --
-- When the last period that every table has ends, in seconds of Unix time; 0 where one of them has none.
SELECT coalesce(min(t.until), 0) FROM (
    SELECT coalesce(max(substring(part.relname FROM '_(\d+)$')::bigint + 1), 0) * 864000 AS until
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhparent = c.oid
    LEFT JOIN pg_catalog.pg_class AS part ON part.oid = i.inhrelid
    WHERE c.relnamespace = 'sender'::regnamespace AND c.relkind = 'p' GROUP BY c.oid
) AS t

-- distrusted --
-- Codes that came for messages which Meta had.
SELECT error_code FROM sender.distrusted_codes
