"""Kinds of confined children: parsers of documents, of mail, and functions of the operator."""

from __future__ import annotations

from typing import Final

import msgspec

from pagemill.sandbox.means import Means

FONTS: Final = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/X11/fonts/Type1",
    "/usr/share/X11/fonts/TTF",
)
"""Directories in which pdfium looks for the fonts that a PDF does not bring along."""


class Profile(msgspec.Struct, frozen=True):
    """Rights of children, and the means that take all others away.

    ``readable`` directories and files may be opened for reading. ``trusted`` code may do what its operator
    may, except enter other processes and the kernel.
    """

    readable: tuple[str, ...] = ()
    means: frozenset[Means] = frozenset(Means)
    trusted: bool = False


PARSER: Final = Profile(readable=FONTS)
MAIL_PARSER: Final = Profile(
    readable=("/etc/resolv.conf",),
    # Who answers for a mail is asked of name servers.
    means=frozenset(Means) - {Means.NO_NETWORK},
)
FUNCTION: Final = Profile(
    means=frozenset({Means.NO_NEW_PRIVILEGES, Means.SYSTEM_CALLS}),
    trusted=True,
)
