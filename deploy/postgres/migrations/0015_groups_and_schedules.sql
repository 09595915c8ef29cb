-- A command may say not before when it is to be sent, and lets later ones of its recipient pass until then. A group has a window.

ALTER TABLE sender.send_commands ADD COLUMN send_at timestamptz;
COMMENT ON COLUMN sender.send_commands.send_at IS 'Not before: until then it keeps no later command of its recipient waiting; null where the command did not say';

COMMENT ON TABLE projector.conversations IS 'One business number and one contact, or one group under its id; the window is read from last_inbound_at';
