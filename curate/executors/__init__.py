"""Ways to place workers. One worker, one schedule; an executor only decides where a task runs."""
