"""Every number of the project, measured side by side in one run: `python -m benchmarks`."""
