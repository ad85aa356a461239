"""The whole main job on this machine, as a story that a newcomer can follow and repeat.

Every command is printed as it is run, with what it answered; every claim is checked, so a demo
that ends well is also a test.
"""
