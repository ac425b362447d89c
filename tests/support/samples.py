"""The smallest bytes that are taken for a document of each type."""

PDF = b"%PDF-1.7\n%%EOF\n"
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
TIFF = b"II*\0" + bytes(16)
WEBP = b"RIFF\0\0\0\0WEBPVP8 "

BY_TYPE = {
    "application/pdf": PDF,
    "image/jpeg": JPEG,
    "image/png": PNG,
    "image/tiff": TIFF,
    "image/webp": WEBP,
}
