"""Listings: what each channel shall show, was told, and shows."""
