"""Programs that make what is shipped: the lock, the SBOM, manual pages, completion, packages."""
