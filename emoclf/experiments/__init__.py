"""Several trainings or networks compared; every finished piece is kept.

`baselines`, `cross_validation`, `label_errors`, `error_analysis`, `exporting` (does an exported
file predict as the network does?); `face_network`, `scene_network` and `face_detector` are the
recipes of what comes with emoclf. `learners` (a network, a regression, how long it will take)
serves several of them, and `kept_folds` holds and reads the predictions of a cross-validation.
"""
