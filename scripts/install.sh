#!/bin/sh
# Make the virtual environment $1 and install the hashed lock $2 into it. The other arguments are the versions of Python
# that the lock is for, the preferred one first.
set -eu
venv=$1 lock=$2
shift 2
versions=$*

has_version() {
    "$1" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])' $2 >/dev/null 2>&1
}

find_python() {
    for version in $versions; do
        for candidate in "${PYTHON311:-}" "python$version" python3 python; do
            if [ -n "$candidate" ] && has_version "$candidate" "$version"; then
                echo "$candidate"
                return
            fi
        done
    done
}

python=$(find_python)
if [ -z "$python" ] && command -v uv >/dev/null 2>&1; then
    echo "No Python $versions found; uv fetches one."
    uv python install "${versions%% *}" && python=$(uv python find "${versions%% *}")
fi
if [ -z "$python" ]; then
    echo "make: Python ${versions} is needed; $lock is for no other." >&2
    echo 'Install it from your system (Debian: apt-get install python3.11 python3.11-venv), or install uv,' >&2
    echo 'which fetches it, or point PYTHON311 at one: make PYTHON311=/path/to/python3.11' >&2
    exit 2
fi

if ! [ -x "$venv/bin/python" ] || ! has_version "$venv/bin/python" "$versions"; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || {
        echo "make: $python cannot make a virtual environment; on Debian: apt-get install python3.11-venv" >&2
        exit 2
    }
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
