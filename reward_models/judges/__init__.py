"""Who scores: a served pairwise, scalar or rubric model, or an endpoint that is asked. Sees final answers only."""
