"""What survives the master: checkpoints, and how a run resumes from one."""
