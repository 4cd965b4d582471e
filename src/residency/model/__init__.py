"""Base models and adapters: fetch, load, attach, merge, and the kernels they run on."""
