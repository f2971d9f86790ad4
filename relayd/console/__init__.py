"""The console: pages and JSON API for account holders and operators, on a listener of their own.

Law: imports control and what is below it, never the relay. Every route declares who may use it;
what holds for a page holds for the API.
"""
