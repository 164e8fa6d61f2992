"""What leaves: change notices to the views, deliveries to partners."""
