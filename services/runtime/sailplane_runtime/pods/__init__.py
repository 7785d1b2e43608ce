"""Running Pods: as local processes here, on Kubernetes elsewhere."""
