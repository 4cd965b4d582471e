"""Static sentence embeddings that need no network: WordLlama, whose weights lie in its wheel.

Its vectors derive from Llama token embeddings (docs/concepts.md says what that means for
licences). Version 0.4.0 looks for its tokenizer in a misspelt folder and would otherwise go
to the network, so it is loaded from its own package folder with downloads disabled.
"""

from __future__ import annotations

import importlib.util
import logging
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from residency.errors import MissingExtraError

DIMENSIONS = 256


class WordLlamaEmbedder:
    """Texts to unit vectors of 256 float32 numbers."""

    name = "wordllama-256"

    def __init__(self) -> None:
        self._model = _load_model()

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Unit vectors, shape (len(texts), 256); an empty text gives zeros."""
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        raw = np.asarray(self._model.embed(list(texts), norm=False), np.float32)
        raw = np.nan_to_num(raw)
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(raw / np.where(length == 0, 1, length), np.float32)

    def knows_script(self, text: str) -> bool:
        """Whether the text is written in a script that the vectors were made for: Latin.

        Unrelated Chinese texts come out as alike as related ones (docs/suites.md has figures).
        """
        letters = [character for character in text if character.isalpha()]
        latin = sum(
            unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH LATIN"))
            for character in letters
        )
        return 2 * latin >= len(letters)

    def knows_language(self, text: str) -> bool:
        """Whether the text is in a language for which the default threshold was measured.

        Unrelated Polish or Vietnamese texts come out as alike as related ones do in English.
        """
        from residency.embedding.known_languages import knows_language

        return self.knows_script(text) and knows_language(text)


@lru_cache(maxsize=1)
def _load_model() -> Any:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "the package wordllama is not installed", next_step="pip install wordllama"
        )
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    from wordllama import WordLlama

    # Its import turns on the root logger, and other libraries' INFO lines with it.
    root.setLevel(level)
    root.handlers[:] = handlers
    return WordLlama.load(dim=DIMENSIONS, cache_dir=Path(spec.origin).parent, disable_download=True)
