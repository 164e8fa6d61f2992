"""X12: read, validated, acknowledged and written."""
