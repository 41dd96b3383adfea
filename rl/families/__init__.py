"""Model families: one file each. ``load_family`` in ``family.py`` finds them by name."""
