"""What a stream does when nothing is wrong, learned from its calibration windows."""
