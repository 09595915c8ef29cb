"""Log to meaning: splits webhooks into typed events and re-keys send-commands into their lanes."""
