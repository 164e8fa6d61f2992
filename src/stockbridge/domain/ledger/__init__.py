"""Movements, balances, counts, adjustments, the hash chain."""
