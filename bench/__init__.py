"""The benchmarks: `python -m bench`; how to read them: docs/benchmarks.md."""
