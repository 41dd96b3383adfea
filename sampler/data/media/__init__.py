"""Encoded pictures and videos: where their bytes are, and the frames of a video that a model is shown."""
