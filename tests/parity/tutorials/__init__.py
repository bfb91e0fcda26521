"""LFs in the styles of Snorkel's tutorials, in our own words, on data made from a seed.

Each module gives ``CLASSES``, ``records(seed, count)`` and ``lfs(kit)``: the same LFs are written
with whatever decorators and classes the kit holds, Snorkel's or tidegauge's.
"""
