"""Vocabulary every package shares: accounts, quantities, error kinds, clock, limits."""
