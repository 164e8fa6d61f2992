"""Stock reports of partners: stored, rebased, compared; booked only where authoritative."""
