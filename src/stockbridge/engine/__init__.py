"""The one door: submit(command) -> outcome."""
