"""What backends share that paint in latents."""
