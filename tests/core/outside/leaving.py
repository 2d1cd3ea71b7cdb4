import sys

sys.exit("usage: leaving.py CONFIG")
