"""Which photos, in which part, as batches.

`sources` finds or makes a data set (`synthetic` draws one) and gives a `photo_folder`, `folders`
recognises its classes, `cleaning` says what is wrong with its files, `splitting` divides it,
`loading` makes batches of it.
"""
