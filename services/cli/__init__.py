"""The operator's `parley` command."""
