"""Files that cameras' own tools record, read frame by frame: ROS bags, MCAP and the Azure Kinect's Matroska."""
