"""What a user may turn: YAML values in, one checked, frozen `Recipe` out; it imports no engine, names no model."""
