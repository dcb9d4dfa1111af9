"""Where the stores are, from the environment."""

from services.drivers.postgres import PostgresConfig
from services.drivers.redis_store import RedisConfig
from services.web.environment import Environment


def postgres_settings(env: Environment) -> PostgresConfig:
    """Read where the database is."""
    return PostgresConfig(
        host=env.text("POSTGRES_HOST", "127.0.0.1"),
        port=env.port("POSTGRES_PORT", 5432),
        database=env.text("POSTGRES_DB", "microservices_test"),
        user=env.text("POSTGRES_USER", "test_user"),
        password=env.secret("POSTGRES_PASSWORD"),
    )


def redis_settings(env: Environment) -> RedisConfig:
    """Read where Redis is."""
    return RedisConfig(
        host=env.text("REDIS_HOST", "127.0.0.1"),
        port=env.port("REDIS_PORT", 6379),
        password=env.secret("REDIS_PASSWORD"),
    )
