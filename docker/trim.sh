#!/bin/sh
# Takes out of a virtual environment what nobody uses in an image:
#
#   docker/trim.sh VENV [job]
#
# The libraries' tests, stubs, headers and sources in Cython and C; for a job also bytecode, which
# saves a process that runs once two seconds and costs 50 MB, and what scikit-learn and scipy have
# beside reading, downloading and encoding data.
set -eu

site=$(echo "$1"/lib/python3*/site-packages)
find "$site" -depth -type d -name tests -exec rm -rf {} +
find "$site" -type f \
    \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.c' -o -name '*.cpp' \) -delete

[ "${2:-}" = job ] || exit 0
find "$site" -type d -name __pycache__ -prune -exec rm -rf {} +
# Learning algorithms: sklearn.datasets needs none of them.
find "$site/sklearn" -mindepth 1 -maxdepth 1 -type d ! -name __check_build ! -name callback ! -name datasets \
    ! -name externals ! -name feature_extraction ! -name preprocessing ! -name utils -exec rm -rf {} +
# Arrow's servers: tables do not need them.
rm -f "$site"/pyarrow/libarrow_flight* "$site"/pyarrow/_flight*
for unused in cluster odr signal; do rm -rf "$site/scipy/$unused"; done
