"""ARC, HellaSwag, MMLU and TruthfulQA with lm-evaluation-harness's definitions."""
