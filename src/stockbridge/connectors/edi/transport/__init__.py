"""Where a partner's files lie, and how they are taken and put without loss or repeat."""
