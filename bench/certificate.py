"""The certificate of the TLS upstream: made on the spot, trusted by nobody else."""

from __future__ import annotations

from pathlib import Path

import trustme

CERTIFICATE, KEY, AUTHORITY = "upstream.pem", "upstream.key", "authority.pem"


def make(folder: Path) -> None:
    """Writes the chain, its key and the authority to trust into `folder`."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / AUTHORITY)
    issued.private_key_pem.write_to_path(folder / KEY)
    with (folder / CERTIFICATE).open("wb") as file:
        for pem in issued.cert_chain_pems:
            file.write(pem.bytes())
