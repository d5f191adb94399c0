"""The embedded engine: OSMO workflow files run on this machine, without a cluster."""
