"""The API of users and tokens, which the gateway and the Security Service both answer."""

from typing import Final

import requests

from services.client.http import Json, ServiceClient

AUTH: Final = "/api/v1/auth"


class UserCalls(ServiceClient):
    """Register, log in and out, and give roles. A *token* goes before the client's own."""

    def register_user(self, user: Json) -> requests.Response:
        """Make a user from ``{"email", "password"}``: 201, or 409 when the address is taken."""
        return self.request("POST", f"{AUTH}/register", json=user)

    def login(self, user: Json) -> requests.Response:
        """Get a pair of tokens for ``{"email", "password"}``: ``access_token`` and ``refresh_token``."""
        return self.request("POST", f"{AUTH}/login", json=user)

    def refresh(self, refresh_token: str) -> requests.Response:
        """Exchange a refresh token, once, for a new pair."""
        return self.request("POST", f"{AUTH}/refresh", json={"refresh_token": refresh_token})

    def logout(self, *, token: str | None = None) -> requests.Response:
        """End the login that the token came from: 204."""
        return self.request("POST", f"{AUTH}/logout", token=token)

    def me(self, *, token: str | None = None) -> requests.Response:
        """Show who the token belongs to."""
        return self.request("GET", f"{AUTH}/me", token=token)

    def set_role(self, user_id: str, role: str, *, token: str | None = None) -> requests.Response:
        """Make a user ``viewer``, ``editor`` or ``admin``; needs an administrator."""
        return self.request("PUT", f"{AUTH}/users/{user_id}/role", json={"role": role}, token=token)

    def rotate_key(self, *, token: str | None = None) -> requests.Response:
        """Sign with a new key from now on; needs an administrator."""
        return self.request("POST", f"{AUTH}/keys/rotate", token=token)
