"""What backends that generate in latent space share."""
