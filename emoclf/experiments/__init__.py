"""Several trainings or networks compared; every finished piece is kept.

`baselines`, `cross_validation`, `label_errors`, `error_analysis`, `exporting` (does an exported
file answer as the network does?), `face_network` (how the packaged network was taught);
`regression` (on features) and `timing` (how long it will take) serve several of them.
"""
