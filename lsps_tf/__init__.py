"""3D hand pose from one depth image, learned from simulation and partial supervision (LSPS)."""
