"""Available to promise: terms, policies, freshness."""
