"""Widget Core: Postgres is the record, Redis the cache, ORB Core holds the native objects."""
