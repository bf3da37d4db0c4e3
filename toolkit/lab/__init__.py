"""A real OpenStack on one Debian 12 machine, for tests and rehearsals -> `repatria lab`; see docs/lab.md.

Everything of a lab lives in the process, mount and network namespaces of one supervisor: end that one
process and nothing of the lab is left but its folder.
"""
