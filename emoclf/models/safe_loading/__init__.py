"""What Keras has saved, looked at before Keras sees it: sizes, members, layers, weights.

Keras builds whatever a file describes. A stranger's file may describe a layer that is Python code,
a class of another package, or ten billion weights, and its words end up in the errors. `archive`
opens a `.keras` file, `layers` looks at what it describes, `weights` at what it holds; `loading`
is the one door to Keras, where each cause gets its own sentence.
"""

from emoclf.models.safe_loading.archive import read_extra
from emoclf.models.safe_loading.loading import load_keras_file
from emoclf.models.safe_loading.weights import check_weights

__all__ = ["check_weights", "load_keras_file", "read_extra"]
