"""The I/O that services share: Kafka, Postgres, Avro, configuration, logs, metrics, lifecycle."""
