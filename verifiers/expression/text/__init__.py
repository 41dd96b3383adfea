"""A final text in, one notation and its tokens out; no tree yet."""
