"""A gateway's log of rosters and keys, as this device is shown it (PROTOCOL 8.6)."""
