"""Errors, time, hashing and compilation: what every other package may rely on."""
