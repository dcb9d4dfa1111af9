"""Signing keys: made here, sealed at rest, rotated, and published as a key set."""

import base64
import hashlib
import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.resilience import Deadline
from services.web.tokens import ACCESS_S, ALGORITHM, AUDIENCE, ISSUER, keys_unavailable, unauthorized

NONCE = 12
RAW = (Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """One key: `public` is its JWK as JSON; the private part is absent once retired."""

    kid: str
    public: str
    private: Ed25519PrivateKey | None


class Sealer:
    """Encrypt private keys for storage."""

    def __init__(self, secret: str) -> None:
        """Derive the sealing key from *secret*."""
        self._cipher = AESGCM(hashlib.sha256(secret.encode()).digest())

    def seal(self, key: Ed25519PrivateKey) -> bytes:
        """Return the sealed form of *key*."""
        nonce = os.urandom(NONCE)
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return nonce + self._cipher.encrypt(nonce, raw, None)

    def open(self, sealed: bytes) -> Ed25519PrivateKey:
        """Return the key that was sealed, or raise ValueError: another secret, or damage."""
        try:
            raw = self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], None)
        except InvalidTag:
            message = "a signing key cannot be opened: is SIGNING_KEY_SECRET the one it was sealed with?"
            raise ValueError(message) from None
        return Ed25519PrivateKey.from_private_bytes(raw)


def make() -> SigningKey:
    """Return a new key."""
    private = Ed25519PrivateKey.generate()
    kid = secrets.token_hex(8)
    x = base64.urlsafe_b64encode(private.public_key().public_bytes(*RAW)).decode().rstrip("=")
    public = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM, "kid": kid, "x": x}
    return SigningKey(kid=kid, public=json.dumps(public), private=private)


class KeyRing:
    """The keys in use: the first signs, all of them verify."""

    def __init__(self) -> None:
        """Start without keys: nothing can be signed yet."""
        self._keys: tuple[SigningKey, ...] = ()
        self._public: dict[str, jwt.PyJWK] = {}

    def load(self, keys: Sequence[SigningKey]) -> None:
        """Use *keys*, the signing one first."""
        self._keys = tuple(keys)
        self._public = {key.kid: jwt.PyJWK(json.loads(key.public), algorithm=ALGORITHM) for key in keys}

    @property
    def ready(self) -> bool:
        """Tell whether tokens can be signed."""
        return bool(self._keys)

    def document(self) -> dict[str, Any]:
        """Return the key set document."""
        self.check()
        return {"keys": [json.loads(key.public) for key in self._keys]}

    async def key(self, kid: str, _deadline: Deadline) -> jwt.PyJWK:
        """Return the public key *kid*, to verify with; 401 when there is none."""
        self.check()
        if kid not in self._public:
            raise unauthorized("token-invalid", "the token is not valid")
        return self._public[kid]

    def sign(
        self, user_id: str, role: str, *, token_id: str | None = None, moment: float | None = None
    ) -> tuple[str, str]:
        """Return an access token and its id: a new one, given now, unless told otherwise."""
        self.check()
        key = self._keys[0]
        if key.private is None:
            raise keys_unavailable()
        token_id, now = token_id or str(uuid4()), moment or time.time()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "role": role,
            "typ": "access",
            "jti": token_id,
            "iat": now,
            "exp": int(now) + ACCESS_S,
        }
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid}), token_id

    def check(self) -> None:
        """Raise the 503 problem while there are no keys."""
        if not self._keys:
            raise keys_unavailable()
