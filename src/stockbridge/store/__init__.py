"""PostgreSQL: launcher, connections, migrations, named statements."""
