"""The benchmarks that come with the product: one a file."""
