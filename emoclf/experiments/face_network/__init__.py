"""The recipe of the packaged face network: FER2013 in, a small network and its card out."""
