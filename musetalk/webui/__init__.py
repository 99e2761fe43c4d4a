"""The app: widgets and handlers, which call the pipeline and nothing else."""
