-- Messages and evidence of consent by their time: analysts ask for days, and read all there ever was for each. A message's time does
-- not change with its statuses, so these are no more work than before. Evidence is only ever added, about in the order of its time.
-- transactional: false
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS projector.messages_time;
CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_time ON projector.messages (occurred_at);
DROP INDEX CONCURRENTLY IF EXISTS projector.consent_events_time;
CREATE INDEX CONCURRENTLY IF NOT EXISTS consent_events_time ON projector.consent_events USING brin (occurred_at)
WITH (autosummarize = on);
