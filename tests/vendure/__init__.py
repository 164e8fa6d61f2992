"""A real Vendure shop for tests."""
