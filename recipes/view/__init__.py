"""`hone view`: a run in, a page for each question a reader asks of it out; it writes nothing."""
