"""Walmart Marketplace, by its v3 APIs."""
