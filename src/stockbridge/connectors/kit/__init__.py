"""What every connector stands on: finding, HTTP, tokens, signatures, simulators, conformance."""
