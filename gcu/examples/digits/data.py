"""The digits images and their fixed split: 8 x 8 pixels of 0 to 16, from scikit-learn's bundled copy of the UCI set."""

import numpy as np

__all__ = ["load"]

#: Seed of the split between training and test images.
SPLIT_SEED = 2021


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(training images, training labels, test images, test labels); images are uint8 (N, 1, 8, 8), a quarter of them for the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = digits.images.astype(np.uint8)[:, None]
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=0.25, random_state=SPLIT_SEED, stratify=digits.target
    )
    return train_x, train_y, test_x, test_y
