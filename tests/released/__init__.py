"""What released versions wrote: a folder for each, made once by `make.py` and never again."""
