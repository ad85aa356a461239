"""The only code that leaves the process. Errors are mapped here, once, to ours."""
