"""A real Tryton for tests: installed once outside the checkout, copied and started per test."""
