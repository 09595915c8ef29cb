"""A minute of believable traffic through the whole stack, shown live and judged at the end."""
