"""The wire format of Sealgate, version 1: bytes to frozen records and back, and nothing else.

Pure functions: no sockets, files, clocks or logging. `PROTOCOL.md` beside this file is normative.
"""
