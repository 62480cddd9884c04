"""Laws that every feature, label, model and pipeline obeys, and the probes that find a breach."""
