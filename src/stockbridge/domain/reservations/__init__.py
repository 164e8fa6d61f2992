"""Promises: reserve, change, confirm, release, expire."""
