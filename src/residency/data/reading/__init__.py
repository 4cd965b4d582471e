"""Sources → records → examples."""
