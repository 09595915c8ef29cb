"""Events to Postgres read models: rows and Kafka positions commit together; can be rebuilt from offset 0."""
