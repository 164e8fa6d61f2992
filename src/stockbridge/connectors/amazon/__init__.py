"""Amazon as a marketplace: a seller who ships (MFN), by the Selling Partner API."""
