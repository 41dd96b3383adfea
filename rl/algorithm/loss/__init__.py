"""Log-probabilities and columns of a batch in, one loss out, by name."""
