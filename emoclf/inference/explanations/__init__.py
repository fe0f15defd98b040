"""Why this prediction? Maps of what in a photo speaks for it, and whether that is the person.

`maps` makes them (Grad-CAM, occlusion), `explaining` lays one onto its photo, `overlays` draws it,
`person` measures how much of it lies on the people.
"""

from emoclf.inference.explanations.explaining import (
    Explanation,
    Method,
    NothingToExplainError,
    explain,
)
from emoclf.inference.explanations.maps import make_grad_cam_maps, make_occlusion_maps
from emoclf.inference.explanations.overlays import (
    blend_map,
    draw_explanation,
    draw_ramp,
    save_explanation,
)
from emoclf.inference.explanations.person import (
    BoxFraction,
    BoxSummary,
    PersonFraction,
    find_body_box,
    find_fraction_on_person,
    summarise_fractions_on_person,
)

__all__ = [
    "BoxFraction",
    "BoxSummary",
    "Explanation",
    "Method",
    "NothingToExplainError",
    "PersonFraction",
    "blend_map",
    "draw_explanation",
    "draw_ramp",
    "explain",
    "find_body_box",
    "find_fraction_on_person",
    "make_grad_cam_maps",
    "make_occlusion_maps",
    "save_explanation",
    "summarise_fractions_on_person",
]
