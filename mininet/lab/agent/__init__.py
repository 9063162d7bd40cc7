"""The process beside the switches: starts Open vSwitch, builds the network with Mininet, obeys the lab."""
