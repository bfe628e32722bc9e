#!/bin/sh
# Look the packages of both locks up in OSV (https://osv.dev), a database of known vulnerabilities. pip-audit does it, in
# an environment of its own. Exit status 0: audited, nothing is known. 1: something is known. 3: not audited.
# scripts/audit-accepted.txt names what is known and accepted, a line each: its identifier, then why.
set -eu
cd "$(dirname "$0")/.."

not_audited() {
    echo "NOT AUDITED: $1" >&2
    exit 3
}

sh scripts/install.sh .venv-audit requirements-audit.lock 3.11 3.12 3.13 >/dev/null 2>&1 ||
    not_audited "pip-audit cannot be installed; that needs a package index"
accepted=$(sed -n 's/^\([A-Za-z][A-Za-z0-9-]*\) .*/--ignore-vuln \1/p' scripts/audit-accepted.txt)
said=$(mktemp)
trap 'rm -f "$said"' EXIT
known=0
for lock in requirements.lock requirements-current.lock; do
    # It ends with 1 for what is known and for what it cannot do; only what is known stands in a table.
    table=$(.venv-audit/bin/pip-audit --disable-pip --require-hashes --vulnerability-service osv \
        --progress-spinner off --timeout 15 $accepted -r "$lock" 2>"$said") && continue
    [ -n "$table" ] || not_audited "$lock: no database of vulnerabilities answers ($(tail -n 1 "$said" | cut -c 1-120))"
    echo "$lock:"
    echo "$table"
    known=1
done
[ "$known" -eq 1 ] || echo "Audited: OSV knows no vulnerability of the locked packages, but for those that are accepted."
exit "$known"
