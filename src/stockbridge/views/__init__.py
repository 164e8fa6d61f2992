"""Read models: the in-memory availability view, explain, history."""
