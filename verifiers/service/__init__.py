"""Cases in, verdicts out, in processes that can be killed; it knows no kind of verifier."""
