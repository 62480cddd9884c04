"""Objects as they are stored: compressed by Zstandard, then encrypted by AES-256-GCM where a key is given.

Each object is a Zstandard frame of at most 32 MiB of content (one long row or the manifest may be longer). Encrypted,
it is a nonce of 12 bytes, the ciphertext and a tag of 16 bytes; its place, the backup's id and the object's name, is
authenticated with it, so that objects of one key can neither be exchanged nor left out: the manifest lists them all and
is authenticated in the same way.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kurswerk.core.errors import BackupError, InvalidInputError

DEFAULT_LEVEL = 1
_NONCE_BYTES, _SALT_BYTES, _KEY_BYTES = 12, 16, 32
_SHORTEST_KEY = 16
# 32 MiB and about 0.1 s for each guess of a key that a person chose.
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 1024**2}


@dataclass(frozen=True)
class Cipher:
    """The key of one backup, derived from the operator's by scrypt (RFC 7914) and the backup's salt."""

    salt: bytes
    key: bytes

    @classmethod
    def of(cls, secret: str, salt: bytes | None = None) -> "Cipher":
        """Derive a backup's key; without a salt that of a new one.

        Raises
        ------
        InvalidInputError
            If the operator's key has fewer than 16 characters.
        """
        if len(secret) < _SHORTEST_KEY:
            raise InvalidInputError("backup.short_key", length=len(secret), least=_SHORTEST_KEY)
        salt = os.urandom(_SALT_BYTES) if salt is None else salt
        return cls(salt, hashlib.scrypt(secret.encode(), salt=salt, dklen=_KEY_BYTES, **_SCRYPT))

    @classmethod
    def matching(cls, secret: str | None, encryption: dict[str, str] | None, name: str) -> "Cipher | None":
        """Return the cipher of a backup whose header has this ``encryption``; None where it is not encrypted.

        Raises
        ------
        BackupError
            If no key is given, or another one than the backup was made with.
        """
        if encryption is None:
            return None
        if secret is None:
            raise BackupError("backup.key_missing", name=name)
        try:
            cipher = cls.of(secret, bytes.fromhex(encryption["salt"]))
        except (KeyError, ValueError) as error:
            raise BackupError("backup.damaged", name=name, object="manifest.json") from error
        if not hmac.compare_digest(cipher.check, encryption.get("check", "")):
            raise BackupError("backup.wrong_key", name=name)
        return cipher

    @property
    def header(self) -> dict[str, str]:
        """What the header of a backup states about its encryption."""
        return {"cipher": "AES-256-GCM", "key": "scrypt", "salt": self.salt.hex(), "check": self.check}

    @cached_property
    def check(self) -> str:
        """A value by which a wrong key is recognised, and from which the key does not follow."""
        return hmac.new(self.key, b"kurswerk backup key", hashlib.sha256).hexdigest()

    def encrypt(self, data: bytes, place: str) -> bytes:
        """Encrypt data that belong in one place."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + bytes(self._aes.encrypt(nonce, data, place.encode()))

    def decrypt(self, data: bytes, place: str) -> bytes:
        """Decrypt and authenticate; ValueError if data, key or place are others."""
        # Imported here, as in _aes: only encrypted backups need it.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        try:
            return bytes(self._aes.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place.encode()))
        except InvalidTag as error:
            raise ValueError("not authentic") from error

    @cached_property
    def _aes(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see decrypt

        return AESGCM(self.key)


def pack(raw: bytes | bytearray, place: str, cipher: Cipher | None, level: int = DEFAULT_LEVEL) -> bytes:
    """Compress data, and encrypt them where there is a cipher.

    Examples
    --------
    >>> unpack(pack(b"rows" * 1000, "place", None), "place", None, 4000)[:8]
    b'rowsrows'
    """
    # Imported here: the commands that list backups need no Arrow.
    import pyarrow as pa  # noqa: PLC0415

    frame = pa.Codec("zstd", level).compress(raw, asbytes=True)
    return cipher.encrypt(frame, place) if cipher else bytes(frame)


def unpack(stored: bytes, place: str, cipher: Cipher | None, size: int) -> bytes:
    """Undo `pack`.

    Raises
    ------
    ValueError
        If the data are damaged, not authentic, belong elsewhere, or were not of this size.
    """
    import pyarrow as pa  # noqa: PLC0415 - see pack

    frame = cipher.decrypt(stored, place) if cipher else stored
    try:
        raw = bytes(pa.Codec("zstd").decompress(frame, size, asbytes=True)) if size else b""
    except OSError as error:
        raise ValueError("not compressed by Zstandard") from error
    if len(raw) != size:
        raise ValueError("of another size")
    return raw
