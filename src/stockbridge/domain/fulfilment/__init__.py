"""Receipts, shipments, transfers, stages."""
