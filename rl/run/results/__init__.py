"""What stages came to, as manifests hold it."""
