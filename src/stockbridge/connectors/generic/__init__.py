"""Portals and headless shops by signed webhooks and three plain reads."""
