"""Words by which a value that is named is not stated."""
