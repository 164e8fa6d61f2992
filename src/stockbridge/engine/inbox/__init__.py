"""Raw bytes first: accept, decode, apply, park, replay."""
