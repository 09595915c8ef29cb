"""Parley: from Meta's webhook to a Postgres row, and from a send-command to the Graph API, over Kafka."""
