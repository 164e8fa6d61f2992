"""The doors: HTTP API and imports."""
