"""SSH keys: read, checked and made. Pure, but for the dice."""

from changes.base.errors import Invalid

KEY_MAX_CHARS = 16 * 1024
RSA_MIN_BITS = 2048


def public_key_of(private_key: str) -> str:
    """One line, as `authorized_keys` and the forges want it. Raises Invalid for what git could not use."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    text = private_key.replace("\r\n", "\n").strip().encode() + b"\n"
    if len(text) > KEY_MAX_CHARS:
        raise Invalid("This is too long for an SSH key.", ["ssh_key"])
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in text
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    try:
        key = load(text, password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except TypeError:
        # It says so of keys that want a password.
        raise Invalid(
            "The key has a passphrase, which nobody could type; store one without.", ["ssh_key"]
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("This is no private SSH key.", ["ssh_key"]) from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_MIN_BITS:
        raise Invalid(f"An RSA key needs {RSA_MIN_BITS} bits at least.", ["ssh_key"])
    return public.decode()


def new_private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        .decode()
    )
