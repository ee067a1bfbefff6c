#!/bin/sh
# Lists what the service is made of, and looks all pins up among known vulnerabilities. `make supply-chain` installs the
# tools first.
set -eu
cd "$(dirname "$0")/.."

tools=.venv/supply-chain/bin
pins=requirements/runtime.txt
list=build/components.cdx.json

mkdir -p build
# The list has no graph of what needs what, since the pins have none; that is the warning that is left out.
PYTHONWARNINGS=ignore "$tools/cyclonedx-py" requirements "$pins" --pyproject pyproject.toml --output-reproducible \
    --output-format JSON --output-file "$list"
echo "$list lists $(grep -c '^[a-z0-9-]*==' "$pins") components."

exec "$tools/python" tools/known_vulnerabilities.py "$tools/pip-audit" requirements/*.txt
