"""The evidence format, version 1: entries, chain, tree, keys, sealed objects, receipts and their verification.

Pure over bytes and streams: nothing here knows a camera, a broker or a clock. ``docs/evidence-format.md`` is the
specification; where code and specification differ, the code is wrong.
"""
