"""A Vendure shop, by its Admin API."""
