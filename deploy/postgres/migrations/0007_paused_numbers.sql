-- Numbers that an operator holds back: their commands wait and expire in time, nothing is refused for it.
-- Older than the rule of phases (docs/migrations.md): services are stopped for it.
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid

ALTER TABLE registry.phone_numbers DROP CONSTRAINT phone_numbers_state_check;
ALTER TABLE registry.phone_numbers ADD CONSTRAINT phone_numbers_state_check CHECK (state IN ('active', 'paused', 'disabled'));
COMMENT ON COLUMN registry.phone_numbers.state IS 'active: sends; paused: keeps its commands until it is resumed; disabled: refuses them';
