"""Checking a receipt as anybody can."""
import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify(jws: str, jwk: str) -> dict:
    """By RFC 7515 and RFC 8037, with the public key alone. Returns what the receipt says."""
    proof, key = json.loads(jws), json.loads(jwk)

    def raw(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519") and "d" not in key
    header = json.loads(raw(proof["protected"]))
    assert header["alg"] == "EdDSA" and header["kid"] == key["kid"]
    signed = f"{proof['protected']}.{proof['payload']}".encode()
    Ed25519PublicKey.from_public_bytes(raw(key["x"])).verify(raw(proof["signature"]), signed)
    return json.loads(raw(proof["payload"]))
