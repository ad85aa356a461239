"""Each guard is taken out once, and its tests must fail: one that never failed shows nothing."""
