"""The run on disk and on the terminal: records in, files a reader sees whole out; it knows no algorithm, no engine."""
