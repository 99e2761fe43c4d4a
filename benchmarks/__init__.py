"""What is measured, and the scripts that measure it. The last figures are in the .md files beside them."""
