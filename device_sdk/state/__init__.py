"""A device's durable state: one SQLite file, and what is kept in it across restarts."""
