"""Linear models; their standardisation is part of the artifact."""
