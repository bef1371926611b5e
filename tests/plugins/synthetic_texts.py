"""Tiny made-up languages, and the probability of each text: a sum over all that is hidden."""

from __future__ import annotations

import itertools
import math

import numpy as np

from clozebox_synthetic import HmmConfig
from clozebox_synthetic.language import Language

Text = tuple[int, ...]


def tiny_config(
    sentences: int, sentence_words: int, words: int, kinds: int = 2, documents: int = 2
) -> HmmConfig:
    return HmmConfig(
        seed=3,
        documents=documents,
        topics=2,
        kinds=kinds,
        states=2,
        words=words,
        sentences=sentences,
        sentence_words=sentence_words,
        sharpness=1.5,
        order=0.6,
    )


def tiny(sentences: int, sentence_words: int, words: int) -> Language:
    return Language.of(tiny_config(sentences, sentence_words, words))


def law_of(language: Language, sentences: int) -> dict[Text, float]:
    """P(text) of so many sentences of one document."""
    width = language.sentence_words
    places = range(sentences * width)
    law: dict[Text, float] = {}
    for topic, kinds in itertools.product(
        range(language.topics), itertools.product(range(language.kinds), repeat=sentences)
    ):
        outer = 1 / language.topics / language.kinds
        for former, later in itertools.pairwise(kinds):
            outer *= language.following[former, later]
        for states in itertools.product(range(len(language.emission)), repeat=len(places)):
            path = outer
            for place, state in enumerate(states):
                sentence, word = divmod(place, width)
                if word == 0:
                    path *= language.start[kinds[sentence], state]
                else:
                    path *= language.transition[topic, states[place - 1], state]
            for text in itertools.product(range(language.emission.shape[1]), repeat=len(places)):
                weight = path * math.prod(
                    language.emission[state, word] for state, word in zip(states, text, strict=True)
                )
                law[text] = law.get(text, 0.0) + weight
    return law


def rows_of(texts: list[Text], language: Language) -> np.ndarray:
    """(B, J, W)"""
    return np.array(texts).reshape(len(texts), -1, language.sentence_words)
