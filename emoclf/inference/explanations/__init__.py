"""Why this prediction? Maps of what in a photo speaks for it, and whether that is the person.

`maps` makes them (Grad-CAM, occlusion), `explaining` lays one onto its photo and draws it, `person`
measures how much of it lies on the people.
"""

from emoclf.inference.explanations.explaining import (
    Explanation,
    NothingToExplainError,
    blend_map,
    draw_explanation,
    draw_ramp,
    explain,
    save_explanation,
)
from emoclf.inference.explanations.maps import make_grad_cam_maps, make_occlusion_maps
from emoclf.inference.explanations.person import (
    BoxFraction,
    BoxSummary,
    PersonFraction,
    find_body_box,
    find_fraction_on_person,
    summarise_fractions_on_person,
)
