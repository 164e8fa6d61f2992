"""Partners that need no code: a folder with a manifest and samples each."""
