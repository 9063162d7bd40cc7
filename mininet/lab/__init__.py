"""The lab: real switches, real packets, measured promises."""
