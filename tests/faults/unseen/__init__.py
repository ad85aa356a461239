"""What the operator does on a view of the cluster that is old, has gaps or is broken; while its
servers fail as a whole; and by a clock that is wrong."""
