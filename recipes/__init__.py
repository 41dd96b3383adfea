"""What a user starts: the command line, YAML recipes and data builders."""
