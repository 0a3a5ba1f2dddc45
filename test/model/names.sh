#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The model and the code speak of the same steps: each name in a comment `model: NAME` of lib/ is a step of the model,
# and each step of the model is named in lib/. Every step that changes a watch's word (..._SWAP, ADD_PUBLISH) is in
# core/watch_state.hpp.
set -euo pipefail
model=$1 lib=$2

# The model's own: where its control flow joins, libuv's poll phase, and what broken steps fall apart into.
joints='RETURN|CALLED|LEFT|ATTACHED|DIRECT|SLEEP|POLL|UPDATE_LATE|NARROW_STORE'

labels() { grep -rohE '// model: [A-Z_]+' "$@" | sed 's/.*model: //' | sort -u; }

in_code=$(labels "$lib/core" "$lib/loop" "$lib/api")
in_model=$(grep -oE '^[A-Z_]+:|/\* [A-Z]+_[A-Z]+ \*/' "$model" | grep -oE '[A-Z_]+' | grep -vxE "$joints" | sort -u)
printf '%s steps in the model, %s in the code\n' "$(wc -l <<<"$in_model")" "$(wc -l <<<"$in_code")"
diff <(printf '%s\n' "$in_model") <(printf '%s\n' "$in_code") || {
  echo >&2 \
    "'<' is a step of the model that no comment in lib/ names; '>' is a name in lib/ that the model does not have"
  exit 1
}
diff <(grep -E '_SWAP$|^ADD_PUBLISH$' <<<"$in_code") <(labels "$lib/core/watch_state.hpp") || {
  echo "a step that changes a watch's word is not in core/watch_state.hpp ('<'), or something else is there ('>')" >&2
  exit 1
}
