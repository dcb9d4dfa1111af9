"""The migrations of the database, run by `services.migrate`."""
