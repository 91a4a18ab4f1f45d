"""What people see and decide: what the command line and the console have in common."""
