"""The audit log: a chain of digests, and the command that verifies it.

`python -m services.security.audit` reads POSTGRES_*, exits 0 when the chain is whole and 1
with the first broken record when it is not. It prints the head of the chain: who keeps that
elsewhere and gives it to a later run (`... audit 17:6ad3…`) also learns whether the log was cut
at its end, or written anew with all its digests.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg2

from services.security.sql import AUDIT_LOG
from services.web.environment import ConfigurationError, Environment
from services.web.stores import postgres_settings

SEPARATOR = "\x1f"
HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """How long the log was at some moment, and the digest of its last record, which covers them all."""

    seq: int
    digest: bytes

    @classmethod
    def of(cls, records: Sequence[AuditRecord]) -> "Head":
        """Return the present head."""
        return cls(seq=records[-1].seq, digest=records[-1].digest) if records else cls(seq=0, digest=bytes(32))

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Return the head that was printed as *text*, or raise ValueError."""
        found = HEAD.fullmatch(text)
        if found is None:
            message = f"{text!r} is not a head of the audit log: take one that an earlier run has printed"
            raise ValueError(message)
        return cls(seq=int(found[1]), digest=bytes.fromhex(found[2]))

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        return f"{self.seq}:{self.digest.hex()}"

    def is_in(self, records: Sequence[AuditRecord]) -> bool:
        """Tell whether *records*, a whole chain, go on from here."""
        return self.seq == 0 or (len(records) >= self.seq and records[self.seq - 1].digest == self.digest)


def first_broken(records: Iterable[AuditRecord]) -> int | None:
    """Return the number of the first record that does not continue the chain, None if all do."""
    before = b""
    for number, record in enumerate(records, start=1):
        if record.seq != number or record.digest != record.expected(before):
            return number
        before = record.digest
    return None


def main(arguments: Sequence[str]) -> None:
    """Verify the chain in the database, and that it goes on from each of the heads in *arguments*."""
    env = Environment(os.environ)
    config = postgres_settings(env)
    try:
        env.check()
        heads = [Head.parse(text) for text in arguments]
        records = _load(config.host, config.port, config.database, config.user, config.password)
    except (ConfigurationError, ValueError, psycopg2.Error) as error:
        sys.stderr.write(f"cannot verify the audit log: {error}\n")
        sys.exit(2)
    if trouble := _trouble(records, heads):
        sys.stdout.write(f"{trouble}\n")
        sys.exit(1)
    sys.stdout.write(f"the audit log is whole: {len(records)} records, head {Head.of(records)}\n")


def _trouble(records: Sequence[AuditRecord], heads: Sequence[Head]) -> str | None:
    broken = first_broken(records)
    if broken is not None:
        return f"the audit log is broken at record {broken}"
    lost = next((head for head in heads if not head.is_in(records)), None)
    return lost and f"the audit log was cut or written anew: it does not go on from {lost}"


def _load(host: str, port: int, database: str, user: str, password: str) -> list[AuditRecord]:
    connection = psycopg2.connect(host=host, port=port, dbname=database, user=user, password=password)
    with connection, connection.cursor() as cursor:
        cursor.execute(AUDIT_LOG)
        lines = cursor.fetchall()
    names = AuditRecord.__slots__
    return [AuditRecord(**{**dict(zip(names, line, strict=True)), "digest": bytes(line[6])}) for line in lines]


if __name__ == "__main__":
    main(sys.argv[1:])
