"""Looking at how a frame was made: every stage side by side, and a whole render's crops and masks as videos."""
