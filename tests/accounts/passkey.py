"""A passkey in software: it answers what a page asks the browser for, as a security key would."""

import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

ORIGIN, RP = "https://testserver", b"testserver"
UP, AT = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.AT


class Passkey:
    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.count = 0

    def create(self, options: dict[str, Any]) -> str:
        public = ES256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        facts = AuthenticatorData.create(sha256(RP), UP | AT, 0, attested)
        answer = {
            "clientDataJSON": self._client_data("webauthn.create", options),
            "attestationObject": AttestationObject.create("none", facts, {}),
        }
        return self._credential(answer)

    def get(self, options: dict[str, Any]) -> str:
        self.count += 1
        facts = AuthenticatorData.create(sha256(RP), UP, self.count)
        client_data = self._client_data("webauthn.get", options)
        signed = self.key.sign(facts + sha256(client_data), ec.ECDSA(hashes.SHA256()))
        answer = {"clientDataJSON": client_data, "authenticatorData": facts, "signature": signed}
        return self._credential(answer)

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        challenge = options["publicKey"]["challenge"]
        return json.dumps({"type": kind, "challenge": challenge, "origin": ORIGIN}).encode()

    def _credential(self, answer: dict[str, bytes]) -> str:
        name = websafe_encode(self.id)
        response = {key: websafe_encode(value) for key, value in answer.items()}
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {},
            }
        )
