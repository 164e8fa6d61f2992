"""What is agreed with one partner, and what it makes of their documents."""
