"""Webhook to log: checks the signature, appends the bytes, answers 200 only after the brokers acknowledged."""
