"""What breaks the readers of foreign bytes? `make fuzz` searches by coverage; what it kept is replayed by a unit test."""
