"""What makes an output folder whole after SIGKILL, a full disk or a power cut: its records, and files on the disk."""
