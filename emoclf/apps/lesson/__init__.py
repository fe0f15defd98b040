"""What the lesson, `model.ipynb`, calls beside the package: its exercises, its saved runs."""
