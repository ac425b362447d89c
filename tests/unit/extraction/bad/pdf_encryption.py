"""PDFs that are encrypted with AES-256 (revision 6), which reportlab does not do by itself."""

from __future__ import annotations

import hashlib
import io
import random

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from reportlab.lib import pdfencrypt
from reportlab.pdfgen import canvas

from tests.unit.extraction.bad.pdf_writer import HEADING, page_pdf, stream

SEED = 20260318


def encrypted(password: str, bits: int) -> bytes:
    """A page with the usual words that needs a password; an empty one opens it for everybody."""
    if bits == 256:
        return with_256_bits(password.encode())
    output = io.BytesIO()
    lock = pdfencrypt.StandardEncryption(password, ownerPassword="owner", strength=bits)
    drawing = canvas.Canvas(output, pagesize=(400, 300), encrypt=lock)
    drawing.drawString(40, 250, "Invoice Heading")
    drawing.drawString(40, 150, "Blue widgets 99.50")
    drawing.save()
    return output.getvalue()


def with_256_bits(password: bytes) -> bytes:
    chance = random.Random(SEED)
    key, iv = chance.randbytes(32), chance.randbytes(16)
    salts = [chance.randbytes(8) for _ in range(4)]
    user = hardened(password, salts[0]) + salts[0] + salts[1]
    user_key = cbc(hardened(password, salts[1]), bytes(16), key)
    owner = hardened(b"owner", salts[2], user) + salts[2] + salts[3]
    owner_key = cbc(hardened(b"owner", salts[3], user), bytes(16), key)
    granted = (
        Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(b"\xfc\xff\xff\xff" * 2 + b"Tadb1234")
    )
    missing = 16 - len(HEADING) % 16
    content = iv + cbc(key, iv, HEADING + bytes([missing]) * missing)
    entries = {"U": user, "UE": user_key, "O": owner, "OE": owner_key, "Perms": granted}
    values = " ".join(f"/{name} <{value.hex()}>" for name, value in entries.items()).encode()
    handler = b"/CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >> /StmF /StdCF /StrF /StdCF"
    lock = b"<< /Filter /Standard /V 5 /R 6 /Length 256 /P -4 %s %s >>" % (values, handler)
    return page_pdf(stream(content), lock, trailer=b"/Encrypt 6 0 R /ID [<00><00>]")


def hardened(password: bytes, salt: bytes, user: bytes = b"") -> bytes:
    """Algorithm 2.B of ISO 32000-2."""
    key, round_number, last = hashlib.sha256(password + salt + user).digest(), 0, 0
    while round_number < 64 or last > round_number - 32:
        repeated = cbc(key[:16], key[16:32], (password + key + user) * 64)
        function = (hashlib.sha256, hashlib.sha384, hashlib.sha512)[sum(repeated[:16]) % 3]
        key, last = function(repeated).digest(), repeated[-1]
        round_number += 1
    return key[:32]


def cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(data)
