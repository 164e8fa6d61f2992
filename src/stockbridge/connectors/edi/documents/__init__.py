"""What sets and messages say, as typed documents: one shape for a kind, whatever the syntax."""
