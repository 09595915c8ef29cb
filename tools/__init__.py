"""Which programs write and check the documents of the log? Nothing here is deployed."""
