"""Tests of what is shipped: wheel, sdist, Debian package, container, lock."""
