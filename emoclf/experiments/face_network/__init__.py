"""The recipe of the packaged face network: FER2013 in, a small network and its card out.

`faces.prepare_faces` gives every face its role, `recipe.train_packaged_network` trains teachers and
student, `packaging.package_student` makes, measures and writes the packaged files.
"""

from emoclf.runtime import require_part

require_part("keras")  # before a module loads it
