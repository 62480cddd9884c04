"""Settings read once, adapters joined to use cases, process entry points.

Nothing is imported here: the cache of compiled kernels must be chosen before a module with kernels is imported.
"""
