-- Indexes that no statement of ours is answered by: each was more work for the projector with every row, and found nothing for anybody.
-- transactional: false
DROP INDEX CONCURRENTLY IF EXISTS projector.account_events_record;
DROP INDEX CONCURRENTLY IF EXISTS projector.calls_conversation;
DROP INDEX CONCURRENTLY IF EXISTS projector.consent_events_contact;
DROP INDEX CONCURRENTLY IF EXISTS projector.template_changes_template;
DROP INDEX CONCURRENTLY IF EXISTS projector.phone_number_changes_number;
DROP INDEX CONCURRENTLY IF EXISTS projector.flow_changes_flow;
