"""Totals of readings that nobody sees (PROTOCOL 18): bills, shares for trustees, and their sums."""
