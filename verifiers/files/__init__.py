"""Files of cases and prompt sets in, their cases out, row by row; it judges nothing itself."""
