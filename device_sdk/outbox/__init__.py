"""What was sent, until its outcome is known: kept, sent again, believed by evidence only."""
