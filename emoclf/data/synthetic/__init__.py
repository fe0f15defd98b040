"""The built-in data set: drawn happy and sad faces, so that everything runs with no download.

`data_set` writes pictures to disk, `flaws` plants what the cleaning lesson looks for, `photo` puts
one picture together: of what can vary and what chance chooses (`traits`), drawn by `face` and
`hair` on a `canvas`.
"""

from emoclf.data.synthetic.data_set import PHOTOS_PER_CLASS, draw_face, make_drawn_faces
