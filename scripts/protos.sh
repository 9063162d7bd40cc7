#!/usr/bin/env bash
# Generates api/grpc/gen from api/grpc/proto; the result is checked in, and a test compares.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-api/grpc/gen}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m grpc_tools.protoc -Iapi/grpc/proto --python_out="$work" --pyi_out="$work" carelane/v1/{carelane,southbound}.proto
cp "$work"/carelane/v1/*_pb2.py "$work"/carelane/v1/*_pb2.pyi "$out"/
