"""Where trainings and evaluations run: this process, processes of this machine, a Ray cluster."""
