-- What a command says besides whom it goes to and what it is.

ALTER TABLE sender.send_commands ADD COLUMN options text;
COMMENT ON COLUMN sender.send_commands.options IS 'JSON of the command''s seldom fields, by their names; null where it has none of them';
