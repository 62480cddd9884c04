"""Readable reports with plots."""
