"""Which photos train, which choose the epoch, which test; duplicates stay in one part.

`splits` draws the parts, `published` takes FER2013's own, `folds` divides photos for a
cross-validation.
"""

from emoclf.data.splitting.folds import Folds, make_folds
from emoclf.data.splitting.published import split_as_published
from emoclf.data.splitting.splits import split_photos

__all__ = ["Folds", "make_folds", "split_as_published", "split_photos"]
