"""PDFs as pdfium opens them."""

from __future__ import annotations

import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.errors import DocumentUnreadable


def open_pdf(content: bytes) -> pypdfium2.PdfDocument:
    """Open a PDF, which the caller closes. Raises DocumentUnreadable, also if it needs a password."""
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise DocumentUnreadable("The PDF is encrypted") from None
        raise DocumentUnreadable("The document is damaged: it is not a valid PDF") from None
