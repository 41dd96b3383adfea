"""A text in, the places out that it names: points, boxes and polygons of a picture, spans of a film."""
