"""How good is a trained model? Likelihoods, and what judges samples; knows nothing of how it was trained."""
