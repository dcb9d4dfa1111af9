"""Users, logins and tokens as the API shows them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.contract.text import Strict, Text


def _email(value: str) -> str:
    local, _, domain = value.rpartition("@")
    if not local or "." not in domain or any(char.isspace() for char in value):
        message = "not an e-mail address"
        raise ValueError(message)
    return value.lower()


Email = Annotated[Text, Field(min_length=3, max_length=254, examples=["ada@example.org"]), AfterValidator(_email)]
Password = Annotated[Text, Field(min_length=8, max_length=128, examples=["correct horse battery"])]
Role = Literal["viewer", "editor", "admin"]
REFRESH_TOKEN = "kJ3lXo0a5Zr1T9vQ2mWc7yEuHs4dBn6f"  # noqa: S105 - an example


class Credentials(Strict):
    """An e-mail address and a password."""

    email: Email
    password: Password


class RefreshIn(Strict):
    """A refresh token: good for one use."""

    refresh_token: Annotated[str, Field(min_length=20, max_length=200, examples=[REFRESH_TOKEN])]


class RoleIn(Strict):
    """The role a user is to have."""

    role: Role


class UserOut(BaseModel):
    """A user."""

    id: UUID
    email: str
    role: Role


class MeOut(UserOut):
    """Who the token belongs to, and the token itself."""

    token_id: str
    issued_at: float


class KeyOut(BaseModel):
    """The id of the key that signs as soon as everybody knows it."""

    kid: str


class TokensOut(BaseModel):
    """A pair of tokens; `expires_in` is in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind, not a secret
    expires_in: int
