"""Sources of frames, and the HDF5 store that they all end in."""
