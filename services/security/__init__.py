"""Security: users, logins, tokens, roles, revocation and the audit log."""
