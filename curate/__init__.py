"""The pipeline: records, plan, passes, executors, video and the command line."""
