"""Rules on text: a question or a reference in, what a pipeline makes of it out. Pure functions that run no model."""
