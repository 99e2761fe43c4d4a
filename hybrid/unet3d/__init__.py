"""LatentSync's UNet3D: Stable Diffusion's network over the frames of a clip."""
