"""The os-ken adapter: the only place that imports os_ken."""
