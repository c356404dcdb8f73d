"""The figure of `latent_flow`."""
