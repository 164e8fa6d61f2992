"""A partner for tests of what leaves: a server in a process of its own, and its connector."""
