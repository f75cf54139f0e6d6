"""Target classes, one file each. A file that is in this folder is a known target."""
