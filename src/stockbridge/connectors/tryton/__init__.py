"""Tryton 8.2 by its JSON-RPC: sales orders and stock movements into it, items out of it."""
