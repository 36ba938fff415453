"""The ledger: what the gateway has promised to keep, and nothing longer than it must."""
