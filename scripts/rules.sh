#!/usr/bin/env bash
# What no tool checks: rules about the files of this repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0

# rule "what it says" lines: the rule is broken if there are any.
rule() {
  [ -z "$2" ] && return
  printf '%s\n%s\n' "$1" "$2"
  failed=1
}

in_files() { git grep -nIE "$@" | cut -c 1-160 || true; }

rule "A path of one machine:" "$(in_files '(^|[^A-Za-z0-9_.$}])/(work|farm|root|home|tmp)/' -- .)"
rule "An address of a package registry:" "$(in_files 'https?://[a-z.]*(npmjs|pypi|pythonhosted|static\.crates|index\.crates|debian)[a-z.]*/' -- .)"
rule "A download address in a lock file:" "$(in_files '"resolved": *"http' -- '*package-lock.json')"
rule "Something left to do:" "$(in_files '\b(TO''DO|FIX''ME|XX''X)\b' -- . ':!*.svg')"
rule "A drawer instead of a name:" "$(git ls-files | grep -E '(^|/)(utils?|helpers?|common|misc|manager)(\.[a-z]+|/)' || true)"
rule "More than 600 lines:" "$(git ls-files -z '*.rs' '*.js' '*.mjs' '*.ts' '*.css' '*.html' '*.sh' '*.py' | xargs -0 -r wc -l 2>/dev/null | awk '$1 > 600 && $2 != "total"')"
rule "A merge that was not finished:" "$(in_files '^(<<<<<<<|>>>>>>>) ' -- .)"
exit "$failed"
