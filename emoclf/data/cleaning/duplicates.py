"""Which pictures are the same one, re-encoded, resized or mirrored.

Two tests must agree. The perceptual hash (pHash, by way of the ImageHash library) looks at the
signs of the 64 lowest frequencies and finds candidates fast; the correlation of two 32 x 32
thumbnails then confirms them. The hash alone chains look-alikes together: aligned portraits and
drawings on white share most of their low frequencies. Copies that were cropped, or that got a
banner added, are mostly not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

THUMBNAIL_SIDE: int = 32
_BLOCK_ROWS = 512


@dataclass(frozen=True, eq=False)
class Signature:
    """What two pictures are compared by.

    Attributes:
        thumbnail: uint8 array of shape (32, 32), grey values 0 to 255.
        own: Perceptual hash as a 64-bit number.
        mirrored: Perceptual hash of the picture mirrored left to right.
    """

    thumbnail: np.ndarray
    own: int
    mirrored: int


def make_signature(grey: np.ndarray) -> Signature:
    """Make a picture's signature.

    Args:
        grey: uint8 array of shape (height, width), grey values 0 to 255.

    Returns:
        The thumbnail and the two hashes.
    """
    thumbnail = Image.fromarray(grey).resize(
        (THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS
    )
    mirrored = thumbnail.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Signature(np.asarray(thumbnail), _hash(thumbnail), _hash(mirrored))


def find_near_pairs(
    signatures: list[Signature], *, max_distance: int, min_similarity: float
) -> np.ndarray:
    """Find the pairs of pictures that look the same, mirrored or not.

    Args:
        signatures: One per picture.
        max_distance: Largest number of differing hash bits, 0 to 64.
        min_similarity: Smallest correlation of the thumbnails, -1.0 to 1.0.

    Returns:
        int64 array of shape (pairs, 2): positions in `signatures`, the smaller one first, sorted.
    """
    own = np.array([signature.own for signature in signatures], dtype=np.uint64)
    mirrored = np.array([signature.mirrored for signature in signatures], dtype=np.uint64)
    thumbnails = _normalise(signatures)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(signatures), _BLOCK_ROWS):
        rows = own[start : start + _BLOCK_ROWS, np.newaxis]
        for hashes, flip in ((own, False), (mirrored, True)):
            near = np.bitwise_count(rows ^ hashes[start:]) <= max_distance
            pairs = np.argwhere(np.triu(near, 1)) + start
            other = thumbnails[pairs[:, 1]]
            other = other[:, :, ::-1] if flip else other
            similarity = np.einsum("nij,nij->n", thumbnails[pairs[:, 0]], other)
            found.append(pairs[similarity >= min_similarity])
    return np.unique(np.concatenate(found), axis=0)


def group_pairs(pairs: np.ndarray, count: int) -> np.ndarray:
    """Join pairs that share a picture into groups.

    Args:
        pairs: int array of shape (pairs, 2), positions of pictures.
        count: How many pictures there are.

    Returns:
        int64 array of shape (count,): the group of each picture, numbered from 0 in the order
        of their first members; -1 for a picture that is in no pair.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = np.full(count, -1, dtype=np.int64)
    if not len(pairs):
        return groups
    graph = coo_array((np.ones(len(pairs), dtype=bool), tuple(pairs.T)), shape=(count, count))
    _, components = connected_components(graph, directed=False)
    members = np.unique(pairs)
    _, first, inverse = np.unique(components[members], return_index=True, return_inverse=True)
    groups[members] = np.argsort(np.argsort(first))[inverse]
    return groups


def _hash(thumbnail: Image.Image) -> int:
    """Return the perceptual hash of a 32 x 32 grey picture."""
    import imagehash

    return int(str(imagehash.phash(thumbnail)), 16)


def _normalise(signatures: list[Signature]) -> np.ndarray:
    """Return float32 thumbnails (n, 32, 32) of mean 0 and length 1: products are correlations."""
    shape = (len(signatures), THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    stacked = np.array([signature.thumbnail for signature in signatures], dtype=np.float32)
    centred = stacked.reshape(shape) - stacked.reshape(shape).mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return centred / np.maximum(lengths, np.float32(1e-6))
