"""What is measured: each module holds the cases of one subject."""
