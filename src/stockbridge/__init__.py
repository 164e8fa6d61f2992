"""Stockbridge: the inventory hub."""
