"""Checks that the laws hold on live data."""
