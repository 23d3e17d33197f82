#!/usr/bin/env bash
# The API references, from the doc comments: target/docs/core by rustdoc, target/docs/client by typedoc. A link that
# leads nowhere and a name without words are errors.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$COMIND_ROOT"
target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
mkdir -p "$target/docs"

RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps -p comind
rm -rf "$target/docs/core"
cp -r "$target/doc" "$target/docs/core"

docs/node_modules/.bin/typedoc --logLevel Warn --treatWarningsAsErrors --name "@co-mind/client" \
  --readme pkg/README.md --tsconfig docs/tsconfig.json --out "$target/docs/client" --disableGit \
  --sourceLinkTemplate "https://github.com/co-mind-ai/co-mind-edge/blob/main/{path}#L{line}" \
  --validation.notDocumented --requiredToBeDocumented Class --requiredToBeDocumented Interface \
  --requiredToBeDocumented Function --requiredToBeDocumented TypeAlias pkg/index.d.ts
echo "$target/docs/core/comind/index.html"
echo "$target/docs/client/index.html"
echo "2 passed, 0 failed"
