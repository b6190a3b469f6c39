"""What `dvsnet segment` does with its inputs: files one by one or as streams, cameras and streams each by itself."""
