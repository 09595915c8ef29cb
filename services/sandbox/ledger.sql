-- What the judge reads. As the operator: it must see what the services wrote, not what they say about it.

-- inbound_messages --
-- Every message of a customer, and every copy of a message.
SELECT phone_number_id, wamid FROM projector.messages WHERE direction = 'inbound' OR is_copy;

-- statuses --
-- Every status of a message.
SELECT wamid, status, occurred_at, contact, type FROM projector.message_statuses;

-- account_events --
-- Every other element of a webhook.
SELECT waba_id, field, occurred_at, raw FROM projector.account_events WHERE record <> 'SendingStateChanged';

-- sent_messages --
-- Every message we sent, and which command asked for it.
SELECT wamid, command_id, accepted_at IS NOT NULL FROM projector.messages
WHERE direction = 'outbound' AND is_copy IS NOT TRUE;

-- consents --
-- Every piece of evidence.
SELECT consent_id FROM projector.consent_events;

-- commands --
-- What became of every command.
SELECT command_id, state, reason, wamid FROM sender.send_commands;

-- dead_letters --
-- Where everything stood that was set aside.
SELECT topic, partition, "offset" FROM projector.dead_letters;

-- outbox --
-- How many outcomes the log has not acknowledged.
SELECT count(*) FROM sender.outbox;

-- unsettled --
-- How many commands are neither at their end nor parked, how many wait for evidence, how many outcomes are untold.
SELECT
    count(*) FILTER (WHERE state IN ('waiting', 'retry', 'started')),
    count(*) FILTER (WHERE state = 'unknown'),
    (SELECT count(*) FROM sender.outbox)
FROM sender.send_commands;

-- positions --
-- How far the read models are.
SELECT topic, partition, max(next_offset) FROM projector.positions GROUP BY topic, partition;

-- delivered --
-- When each status of a message was first true.
SELECT wamid, sent_at, delivered_at, read_at, played_at, failed_at FROM projector.messages;

-- windows --
-- When each contact last wrote.
SELECT phone_number_id, contact, last_inbound_at FROM projector.conversations WHERE last_inbound_at IS NOT NULL;

-- has_witness --
-- Whether every advance of a position was written down, by a trigger that tests install.
SELECT to_regclass('public.advances') IS NOT NULL;

-- advances --
-- Every advance, in the order of their transactions.
SELECT topic, partition, before, after FROM public.advances ORDER BY seq;
