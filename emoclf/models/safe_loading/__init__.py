"""What Keras has saved, checked before Keras sees it: sizes, members, layers, weights.

Keras builds whatever a file describes. A stranger's file may describe a layer that is Python code,
a class of another package, or ten billion weights, and its words end up in the errors. `checks`
looks at what a file describes and holds; `loading` reads it and is the one door to Keras, where
each cause gets its own sentence.
"""

from emoclf.models.safe_loading.checks import check_weights
from emoclf.models.safe_loading.loading import load_keras_file, read_extra

__all__ = ["check_weights", "load_keras_file", "read_extra"]
