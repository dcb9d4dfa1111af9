"""The audit log: a chain of digests, and the command that verifies it.

`python -m services.security.audit` reads POSTGRES_*, exits 0 when the chain is whole and 1
with the first broken record when it is not.
"""

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg2

from services.security.sql import AUDIT_LOG
from services.web.environment import ConfigurationError, Environment
from services.web.stores import postgres_settings

SEPARATOR = "\x1f"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRecord:
    """One record; `digest` covers the record and the digest before it."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    digest: bytes

    def expected(self, before: bytes) -> bytes:
        """Return the digest this record must have after *before*."""
        parts = (str(self.seq), self.at, self.actor, self.action, self.subject, self.detail)
        return hashlib.sha256(before + SEPARATOR.join(parts).encode()).digest()


def first_broken(records: Iterable[AuditRecord]) -> int | None:
    """Return the number of the first record that does not continue the chain, None if all do."""
    before = b""
    for number, record in enumerate(records, start=1):
        if record.seq != number or record.digest != record.expected(before):
            return number
        before = record.digest
    return None


def main() -> None:
    """Verify the chain in the database."""
    env = Environment(os.environ)
    config = postgres_settings(env)
    try:
        env.check()
        records = _load(config.host, config.port, config.database, config.user, config.password)
    except (ConfigurationError, psycopg2.Error) as error:
        sys.stderr.write(f"cannot read the audit log: {error}\n")
        sys.exit(2)
    broken = first_broken(records)
    if broken is not None:
        sys.stdout.write(f"the audit log is broken at record {broken}\n")
        sys.exit(1)
    sys.stdout.write(f"the audit log is whole: {len(records)} records\n")


def _load(host: str, port: int, database: str, user: str, password: str) -> list[AuditRecord]:
    connection = psycopg2.connect(host=host, port=port, dbname=database, user=user, password=password)
    with connection, connection.cursor() as cursor:
        cursor.execute(AUDIT_LOG)
        lines = cursor.fetchall()
    names = AuditRecord.__slots__
    return [AuditRecord(**{**dict(zip(names, line, strict=True)), "digest": bytes(line[6])}) for line in lines]


if __name__ == "__main__":
    main()
