"""Zip archives from outside: everything that reading one may raise where it is not sound.

Law: whoever reads one catches all of it; zlib, the file layer and each codec raise their own.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import Final

UNSOUND: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    OSError)
"""A text that is none is a ValueError, a password a RuntimeError."""
