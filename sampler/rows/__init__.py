"""Data sets read into rows, whatever the file: each row with what names it, what is wrong and what is odd about it."""
