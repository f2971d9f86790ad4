"""Tests of relayd as a service of systemd."""
