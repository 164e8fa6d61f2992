"""EDIFACT: read, acknowledged and written, with the core that X12 has."""
