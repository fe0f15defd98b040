"""Which photos, in which part, as batches.

`sources` finds or makes a data set (`synthetic` draws one), `folders` says what such a folder holds
and recognises its classes, `cleaning` says what is wrong with its files, `splitting` and `folds`
divide it, `loading` makes batches of it.
"""
