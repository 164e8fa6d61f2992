"""EDI: X12 and EDIFACT, from bytes to canonical documents and to the hub's events, and back."""
