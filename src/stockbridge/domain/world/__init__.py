"""The rows a batch works on, and what it changes."""
