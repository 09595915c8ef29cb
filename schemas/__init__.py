"""The contract with every reader of the log: Avro schemas, one record a file, and the lock file of their ids."""
