"""Control numbers of what partners are sent, and the acknowledgements they owe for it."""
