"""What has arrived, until its read ack is confirmed; and what is missing."""
