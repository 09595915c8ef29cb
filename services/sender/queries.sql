-- take_in --
-- Commands become rows in the order given; those whose id is known stay as they are.
INSERT INTO sender.send_commands (
    command_id, shard, fingerprint, phone_number_id, lane, policy, type, content, to_number, bsuid, pair, context_wamid,
    appended_at, expires_at, send_at, next_action_at, options
)
SELECT
    g.command_id, g.shard, g.fingerprint, g.phone_number_id, g.lane, g.policy, g.type, g.content, g.to_number, g.bsuid, g.pair,
    g.context_wamid, to_timestamp(g.appended_at / 1000.0), to_timestamp(g.expires_at / 1000.0),
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
ORDER BY g.place
ON CONFLICT (command_id) DO NOTHING
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
    c.command_id, c.attempts, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard, c.options
FROM sender.send_commands AS c
JOIN sender.send_attempts AS a ON a.command_id = c.command_id AND a.attempt_no = c.attempts
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
JOIN sender.send_commands AS c ON c.command_id = a.command_id
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
    SELECT d.command_id, d.lane, d.next_action_at, d.seq, e.earlier
    FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS l (lane)
    CROSS JOIN LATERAL (
        SELECT c.command_id, c.phone_number_id, c.lane, c.pair, c.next_action_at, c.seq, c.held_by
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
    SELECT c.command_id, d.earlier FROM due AS d JOIN sender.send_commands AS c ON c.command_id = d.command_id
    WHERE d.earlier > 0 AND c.state IN ('waiting', 'retry') AND c.expires_at > now()
    FOR UPDATE OF c SKIP LOCKED
),

set_aside AS (
    UPDATE sender.send_commands AS c
    SET next_action_at = now() + make_interval(secs => greatest(1, b.earlier + 1 - %(burst)s) * %(pair_seconds)s),
        reason = CASE c.state WHEN 'waiting' THEN 'pair_limit' ELSE c.reason END
    FROM behind AS b WHERE c.command_id = b.command_id
),

first AS MATERIALIZED (
    SELECT o.command_id
    FROM (
        SELECT d.command_id, d.lane, row_number() OVER (PARTITION BY d.lane ORDER BY d.next_action_at, d.seq) AS k
        FROM due AS d WHERE d.earlier = 0
    ) AS o
    JOIN unnest(%(lane)s::smallint[], %(urgent)s::int[], %(place)s::float8[], %(step)s::float8[]) AS s (lane, urgent, place, step)
        ON s.lane = o.lane
    ORDER BY o.k > s.urgent, CASE WHEN o.k <= s.urgent THEN o.lane ELSE s.place + s.step * o.k END, o.lane, o.k
    LIMIT %(limit)s
),

expired AS MATERIALIZED (
    SELECT c.command_id FROM sender.send_commands AS c
    WHERE c.phone_number_id = %(phone_number_id)s AND c.shard = %(shard)s
        AND c.state IN ('waiting', 'retry') AND c.expires_at <= now() AND EXISTS (SELECT FROM fence)
    ORDER BY c.expires_at LIMIT %(expired)s
),

picked AS MATERIALIZED (
    SELECT c.* FROM sender.send_commands AS c
    WHERE c.command_id IN (SELECT f.command_id FROM first AS f UNION SELECT x.command_id FROM expired AS x)
        AND c.state IN ('waiting', 'retry')
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
    (extract(epoch FROM p.send_at) * 1000)::bigint
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
            e.category, e.withdrawn_at,
            CASE WHEN coalesce(e.granted_at > o.since, TRUE) AND coalesce(e.granted_at <= o.until, TRUE) THEN e.granted_at END AS granted_at
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
        %(command_id)s::text[], %(attempt_no)s::int[], %(attempt_id)s::text[], %(type)s::text[], %(content)s::text[]
    ) AS g (command_id, attempt_no, attempt_id, type, content)
),

attempts AS (
    INSERT INTO sender.send_attempts (command_id, attempt_no, attempt_id, shard, epoch, phone_number_id)
    SELECT command_id, attempt_no, attempt_id, %(shard)s, %(epoch)s, %(phone_number_id)s FROM given
)

UPDATE sender.send_commands AS c
SET state = 'started', attempts = g.attempt_no, type = coalesce(g.type, c.type), content = coalesce(g.content, c.content),
    held_by = NULL, updated_at = now()
FROM given AS g WHERE c.command_id = g.command_id

-- refuse --
-- The gate said no, and the log will be told.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(reason)s::text[], %(key)s::bytea[], %(value)s::bytea[], %(event_id)s::text[],
        %(occurred_at)s::bigint[]
    ) AS g (command_id, reason, key, value, event_id, occurred_at)
),

box AS (
    INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
    SELECT %(shard)s, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0) FROM given AS g
)

UPDATE sender.send_commands AS c SET state = 'refused', reason = g.reason, outcome = g.value, updated_at = now()
FROM given AS g WHERE c.command_id = g.command_id

-- park --
-- Ask again a little later; what waits says what for.
UPDATE sender.send_commands AS c
SET next_action_at = now() + make_interval(secs => g.seconds),
    reason = CASE c.state WHEN 'waiting' THEN coalesce(g.reason, c.reason) ELSE c.reason END, held_by = g.held_by
FROM unnest(%(command_id)s::text[], %(seconds)s::float8[], %(reason)s::text[], %(held_by)s::text[])
    AS g (command_id, seconds, reason, held_by)
WHERE c.command_id = g.command_id

-- release --
-- These are out of the way: what was set aside behind them is looked at now, and no longer when their time would have been over.
WITH next AS MATERIALIZED (
    SELECT DISTINCT ON (n.command_id) n.command_id
    FROM unnest(%(command_id)s::text[]) AS g (command_id)
    JOIN sender.send_commands AS c ON c.command_id = g.command_id
        AND (c.state NOT IN ('waiting', 'retry', 'started') OR c.held_by IS NOT NULL)
    CROSS JOIN LATERAL (
        SELECT o.command_id, o.state, o.reason, o.next_action_at FROM sender.send_commands AS o
        WHERE o.phone_number_id = c.phone_number_id AND o.lane = c.lane AND o.pair = c.pair
            AND o.state IN ('waiting', 'retry', 'started') AND o.held_by IS NULL
        ORDER BY o.seq LIMIT 1
    ) AS n
    WHERE n.state = 'waiting' AND n.reason = 'pair_limit' AND n.next_action_at > now()
)

UPDATE sender.send_commands AS c SET next_action_at = now()
FROM (
    SELECT w.command_id FROM sender.send_commands AS w WHERE w.command_id IN (SELECT n.command_id FROM next AS n)
    FOR UPDATE OF w SKIP LOCKED
) AS n
WHERE c.command_id = n.command_id AND c.state = 'waiting'

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
-- What attempts proved, what that makes of their commands, and what the log is to be told: together or not at all.
-- An attempt that is known to be accepted or rejected stays so; one that was given up can still turn out to be either.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(attempt_no)s::int[], %(outcome)s::text[], %(state)s::text[], %(reason)s::text[],
        %(error_code)s::int[], %(wamid)s::text[], %(seconds)s::float8[], %(key)s::bytea[], %(value)s::bytea[],
        %(event_id)s::text[], %(occurred_at)s::bigint[]
    ) AS g (
        command_id, attempt_no, outcome, state, reason, error_code, wamid, seconds, key, value, event_id, occurred_at
    )
),

attempts AS (
    UPDATE sender.send_attempts AS a
    SET outcome = g.outcome, finished_at = now(), reason = g.reason, error_code = g.error_code, wamid = g.wamid
    FROM given AS g
    WHERE a.command_id = g.command_id AND a.attempt_no = g.attempt_no
        AND (
            a.outcome IS NULL
            OR (a.outcome IN ('unknown', 'unresolved') AND g.outcome IN ('accepted', 'rejected'))
            OR (a.outcome = 'unknown' AND g.outcome = 'unresolved')
        )
    RETURNING a.command_id
),

commands AS (
    UPDATE sender.send_commands AS c
    SET state = g.state, next_action_at = now() + make_interval(secs => g.seconds), reason = g.reason,
        error_code = g.error_code, wamid = g.wamid, outcome = coalesce(g.value, c.outcome), updated_at = now()
    FROM given AS g
    JOIN attempts AS a ON a.command_id = g.command_id
    WHERE c.command_id = g.command_id AND c.attempts = g.attempt_no
    RETURNING c.command_id, c.shard
),

box AS (
    INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
    SELECT c.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
    FROM given AS g JOIN commands AS c ON c.command_id = g.command_id
    WHERE g.value IS NOT NULL
)

SELECT command_id FROM commands

-- ended --
-- Which of these attempts are known to be accepted or rejected.
SELECT a.command_id FROM sender.send_attempts AS a
JOIN unnest(%(command_id)s::text[], %(attempt_no)s::int[]) AS g (command_id, attempt_no)
    ON a.command_id = g.command_id AND a.attempt_no = g.attempt_no
WHERE a.outcome IN ('accepted', 'rejected')

-- evidence --
-- Attempts without an answer of which a status webhook tells that Meta had accepted them.
SELECT
    c.command_id, c.attempts, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, s.wamid
FROM sender.send_commands AS c
JOIN sender.send_attempts AS a ON a.command_id = c.command_id AND a.attempt_no = c.attempts
CROSS JOIN LATERAL (
    SELECT m.wamid FROM projector.message_statuses AS m
    WHERE m.biz_opaque_callback_data = a.attempt_id AND m.phone_number_id = c.phone_number_id AND m.type = 'message'
    ORDER BY m.occurred_at LIMIT 1
) AS s
WHERE c.shard = ANY(%(shards)s::int[]) AND c.state = ANY(%(states)s::text[])
    AND c.state IN ('started', 'unknown', 'unresolved')
LIMIT %(limit)s

-- overdue --
-- Attempts that nobody told us anything about in time.
SELECT
    c.command_id, c.attempts, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard, c.options
FROM sender.send_commands AS c
JOIN sender.send_attempts AS a ON a.command_id = c.command_id AND a.attempt_no = c.attempts
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
-- Attempts that were taken for refused or not sent, of which a status webhook tells that Meta had accepted them. While a later attempt
-- of the command is under way they are left for the next look.
SELECT
    c.command_id, a.attempt_no, a.attempt_id, c.phone_number_id, c.lane, c.type, c.content, c.to_number, c.bsuid, c.shard,
    c.options, s.wamid,
    a.outcome, a.error_code
FROM sender.send_attempts AS a
JOIN sender.send_commands AS c ON c.command_id = a.command_id
CROSS JOIN LATERAL (
    SELECT m.wamid FROM projector.message_statuses AS m
    WHERE m.biz_opaque_callback_data = a.attempt_id AND m.phone_number_id = c.phone_number_id AND m.type = 'message'
    ORDER BY m.occurred_at LIMIT 1
) AS s
WHERE a.shard = ANY(%(shards)s::int[]) AND a.outcome IN ('rejected', 'retry', 'not_sent')
    AND a.finished_at > now() - make_interval(secs => %(seconds)s) AND c.state <> 'started'
LIMIT %(limit)s

-- correct --
-- Meta has these after all: the attempt, its command unless another attempt of it was accepted too, the code that lied, and the log.
WITH given AS (
    SELECT * FROM unnest(
        %(command_id)s::text[], %(attempt_no)s::int[], %(attempt_id)s::text[], %(wamid)s::text[], %(error_code)s::int[],
        %(key)s::bytea[], %(value)s::bytea[], %(event_id)s::text[], %(occurred_at)s::bigint[]
    ) AS g (command_id, attempt_no, attempt_id, wamid, error_code, key, value, event_id, occurred_at)
),

-- Locked first: a command whose next attempt is being started this moment is not touched, nor is its evidence used up.
held AS MATERIALIZED (
    SELECT c.command_id, c.shard, c.state FROM sender.send_commands AS c
    WHERE c.command_id IN (SELECT g.command_id FROM given AS g) AND c.state <> 'started'
    ORDER BY c.command_id FOR UPDATE OF c
),

attempts AS (
    UPDATE sender.send_attempts AS a SET outcome = 'accepted', wamid = g.wamid
    FROM given AS g JOIN held AS h ON h.command_id = g.command_id
    WHERE a.command_id = g.command_id AND a.attempt_no = g.attempt_no AND a.outcome IN ('rejected', 'retry', 'not_sent')
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

first AS (
    SELECT DISTINCT ON (g.command_id) g.* FROM given AS g
    JOIN attempts AS a ON a.command_id = g.command_id AND a.attempt_no = g.attempt_no
    ORDER BY g.command_id, g.attempt_no
),

commands AS (
    UPDATE sender.send_commands AS c
    SET state = 'accepted', reason = NULL, error_code = NULL, wamid = g.wamid, outcome = g.value, updated_at = now()
    FROM first AS g
    WHERE c.command_id = g.command_id AND c.state NOT IN ('accepted', 'started')
    RETURNING c.command_id, c.shard
),

box AS (
    INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)
    SELECT c.shard, g.key, g.value, g.event_id, to_timestamp(g.occurred_at / 1000.0)
    FROM first AS g JOIN commands AS c ON c.command_id = g.command_id
)

SELECT a.command_id, a.attempt_no, f.command_id IS NULL OR h.state = 'accepted'
FROM attempts AS a
JOIN held AS h ON h.command_id = a.command_id
LEFT JOIN first AS f ON f.command_id = a.command_id AND f.attempt_no = a.attempt_no

-- distrusted --
-- Codes that came for messages which Meta had.
SELECT error_code FROM sender.distrusted_codes
