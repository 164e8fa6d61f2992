"""What leaves: change notices to views (deliveries come with the connectors)."""
