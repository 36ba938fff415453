"""Anonymous messages (PROTOCOL 19): tokens, and connections that name nobody."""
