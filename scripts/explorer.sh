#!/bin/sh
# Puts three.js, as export/explorer/package-lock.json pins it, into the explorer's page; and axe-core beside it, which
# the page's test uses where it is there. Needs npm. The page itself is plain modules, so nothing else is built.
set -eu
cd "$(dirname "$0")/../export/explorer"
npm ci --no-audit --no-fund --ignore-scripts
cp node_modules/three/build/three.module.min.js page/vendor/three.module.min.js
cp node_modules/three/LICENSE page/vendor/three-LICENSE.txt
