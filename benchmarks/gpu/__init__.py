"""Everything that is measured on a GPU, in one run of bounded length; run by `on_gpu.sh`."""
