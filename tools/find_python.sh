#!/bin/sh
# Prints the name of the first Python on this machine that can make the virtual environment. If there is none, fails and
# names the package to install on standard error. If the variable PYTHON is set, only that Python is tried.
set -u

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Debian and Ubuntu have ensurepip in a separate package.
can_make_environments() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

lame=
for python in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
    command -v "$python" >/dev/null 2>&1 || continue
    is_recent "$python" || continue
    if can_make_environments "$python"; then
        echo "$python"
        exit 0
    fi
    lame=${lame:-$python}
done

if [ -n "$lame" ]; then
    version=$("$lame" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$lame is here but lacks its ensurepip or venv module, without which no environment can be made." >&2
    echo "On Debian or Ubuntu: apt install python$version-venv" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "PYTHON=$PYTHON is not a Python 3.11 or later that can be run here." >&2
else
    echo "FlashReserve needs Python 3.11 or later, and none was found on PATH." >&2
    echo "On Debian or Ubuntu: apt install python3 python3-venv" >&2
fi
exit 1
