"""Keys for tokens, made for the tests."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def write_key(folder: Path, bits: int = 2048) -> tuple[Path, str]:
    """A new RSA key: the file with its private half, and its public half in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    path = folder / "private.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return path, public.decode()
