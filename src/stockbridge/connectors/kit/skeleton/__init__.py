"""Skeleton: a shop with a REST interface."""
