"""What all networks share: reading published checkpoints safely, and filling modules with them."""
