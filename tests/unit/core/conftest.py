"""Kernels compile in the first example, so none has a deadline; examples are the same in every run."""

from hypothesis import settings

settings.register_profile("kurswerk", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("kurswerk")
