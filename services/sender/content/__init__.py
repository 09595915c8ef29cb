"""What may stand in a command: shape and limits of every message type that Meta takes."""
