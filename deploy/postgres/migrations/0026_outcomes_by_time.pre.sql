-- What the sender told by its time within a month: rows are only ever added, about in that order.
-- The parts of a partitioned table have names that no migration knows, so none can be done CONCURRENTLY. To make this index is to
-- read the table once; the projector waits for that long and then catches up.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX send_outcomes_time ON projector.send_outcomes USING brin (occurred_at) WITH (autosummarize = on);
