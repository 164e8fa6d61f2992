"""One folder for each counterparty."""
