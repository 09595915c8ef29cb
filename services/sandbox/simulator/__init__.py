"""What Meta would do: a Graph endpoint, signed webhooks and customers, with an arrival log as the judge."""
