"""The pipelines that come with Hone, as YAML."""
