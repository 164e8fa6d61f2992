"""Rules of the house: access keys, audit, exceptions."""
