"""What a model is to predict: thresholds and horizon changes."""
