"""Passwords of the old platform, whose library (bcryptjs) read the first 72 bytes alone."""

from typing import Any

import bcrypt
from django.contrib.auth.hashers import BCryptPasswordHasher

READ_BYTES = 72


class OldPlatformHasher(BCryptPasswordHasher):
    """Verify `bcrypt$` and a hash of `$2a$`, `$2b$` or `$2y$`; new passwords never get one."""

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether this is the password, and False for a hash that is damaged."""
        _, _, stored = encoded.partition("$")
        # bcrypt raises for more than 72 bytes, and the old platform has cut there.
        try:
            return bcrypt.checkpw(password.encode()[:READ_BYTES], stored.encode())
        except ValueError:
            return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Do nothing: whoever has another password pays for Argon2 as well."""

    def decode(self, encoded: str) -> dict[str, Any]:
        """Return what is shown of a hash, also of a damaged one."""
        _, _, stored = encoded.partition("$")
        parts = [*stored.split("$"), "", "", "", ""]
        return {
            "algorithm": self.algorithm,
            "algostr": parts[1],
            "checksum": parts[3][22:],
            "salt": parts[3][:22],
            "work_factor": int(parts[2]) if parts[2].isdecimal() else 0,
        }
