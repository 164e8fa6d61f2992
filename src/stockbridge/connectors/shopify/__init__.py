"""Shopify shops, by the Admin GraphQL API 2026-10."""
