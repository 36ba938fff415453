"""Keys: a device's own, at rest and announced, and what it knows of other readers'."""
