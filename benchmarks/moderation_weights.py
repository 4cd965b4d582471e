"""Writes the weights of moderation's offline classifier from alt-profanity-check's pickles.

pip install alt-profanity-check; python benchmarks/moderation_weights.py

It reads the pickles that the package brings (which runs code of the package), writes
``src/residency/moderation/offensive_weights.safetensors`` and the licence beside it, and compares the
scores of both on the labelled texts.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from profanity_check import predict_prob
from profanity_check import profanity_check as original
from safetensors.numpy import save_file

import residency.moderation
from residency.moderation.measure_moderation import load_labelled
from residency.moderation.offensive_words import WEIGHTS, score_offence

FOLDER = Path(residency.moderation.__file__).parent


def write_weights(path: Path) -> None:
    """Vocabulary, idf, and slope, offset, coefficients and intercept of the five classifiers."""
    folds = original.model.calibrated_classifiers_
    calibrators = [fold.calibrators[0] for fold in folds]
    words = sorted(original.vectorizer.vocabulary_, key=original.vectorizer.vocabulary_.get)
    tensors = {
        "words": np.frombuffer("\n".join(words).encode(), dtype=np.uint8),
        "idf": original.vectorizer.idf_.astype(np.float32),
        "coef": np.stack([fold.estimator.coef_[0] for fold in folds]).astype(np.float32),
        "intercept": np.array([fold.estimator.intercept_[0] for fold in folds]),
        "slope": np.array([calibrator.a_ for calibrator in calibrators]),
        "offset": np.array([calibrator.b_ for calibrator in calibrators]),
    }
    package = distribution("alt-profanity-check")
    about = {"source": f"alt-profanity-check {package.version}", "licence": "MIT"}
    save_file(tensors, path, metadata=about)
    licence = next(file for file in package.files or () if file.name == "LICENSE")
    text = Path(str(package.locate_file(licence))).read_text(encoding="utf-8")
    path.with_suffix(".LICENSE").write_text(text, encoding="utf-8")


def main() -> None:
    """Write, and compare."""
    path = FOLDER / WEIGHTS
    write_weights(path)
    texts = [row.text for row in load_labelled()]
    theirs = predict_prob(texts)
    ours = np.array([score_offence(text) for text in texts])
    print(f"{path.name}: {path.stat().st_size} bytes")
    print(f"{len(texts)} texts: largest difference of scores {np.abs(ours - theirs).max():.1e}")


if __name__ == "__main__":
    main()
