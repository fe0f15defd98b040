"""Photos in, batches out: every photo is decoded and prepared once, then only copied.

`photo_cache` keeps the pixels of all photos, in memory or in a file on disk (`stored`); `batches`
hands them to TensorFlow.
"""

from emoclf.data.loading.batches import balanced_class_weights, find_order, make_dataset, take_order
from emoclf.data.loading.photo_cache import (
    PhotoCache,
    WithoutFace,
    cache_for,
    cache_photos,
)
