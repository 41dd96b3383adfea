"""Answers that are places in a picture: boxes, points, outlines, differences. Reads no picture."""
