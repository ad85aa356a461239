"""Real components on this machine for the demo, the tests and the benchmark.

A control plane, OpenBao and the operator run as ordinary processes, because what the
operator promises can only be shown against the servers that it will meet.
"""
