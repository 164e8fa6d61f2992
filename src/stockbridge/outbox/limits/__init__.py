"""How much may go to a partner now: five kinds of limits, kept in the database."""
