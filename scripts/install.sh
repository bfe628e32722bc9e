#!/bin/sh
# Make the virtual environment $1 with Python 3.11 and install the hashed lock into it.
set -eu
venv=$1

is_311() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in "${PYTHON311:-}" python3.11 python3 python; do
        if [ -n "$candidate" ] && is_311 "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ] && command -v uv >/dev/null 2>&1; then
    echo 'No Python 3.11 found; uv fetches one.'
    uv python install 3.11 && python=$(uv python find 3.11)
fi
if [ -z "$python" ]; then
    echo 'make: Python 3.11 is needed (TensorFlow 2.15 with Addons runs on no later one).' >&2
    echo 'Install it from your system (Debian: apt-get install python3.11 python3.11-venv), or install uv,' >&2
    echo 'which fetches it, or point PYTHON311 at one: make PYTHON311=/path/to/python3.11' >&2
    exit 2
fi

if ! [ -x "$venv/bin/python" ] || ! is_311 "$venv/bin/python"; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || {
        echo "make: $python cannot make a virtual environment; on Debian: apt-get install python3.11-venv" >&2
        exit 2
    }
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
