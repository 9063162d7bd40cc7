"""The pure stages: resolve, plan, compile, diff."""
