"""What the services share: `domain` decides (pure), `platform` moves bytes (I/O). Nothing else belongs here."""
