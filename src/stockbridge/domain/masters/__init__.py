"""Items, units, aliases, kits, locations, channels, policies."""
