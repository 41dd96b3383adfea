"""What commands print and write: plans, checks, verdicts, scores; it starts nothing."""
