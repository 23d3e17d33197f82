// `make test`: every suite, each by its own make target, in the order that fails fastest; then what they found.
import { spawn } from "node:child_process";

const SUITES = [
  "lint",
  "no-std",
  "test-core",
  "simulate",
  "vectors",
  "test-edge",
  "test-fuzz",
  "deploy-check",
  "run-test",
  "edge-test",
  "api-test",
  "soak-test",
  "docs",
  "pkg-test",
  "console-test",
  "e2e",
  "audit",
];

/** How each kind of runner says what it found; several runs in one suite add up. */
const COUNTS = [
  // cargo test
  { line: /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/, read: ([, p, f, s]) => [p, f, s] },
  // node --test
  { line: /^(?:ℹ|#) pass (\d+)$/, read: ([, passed]) => [passed, 0, 0] },
  { line: /^(?:ℹ|#) (?:fail|cancelled) (\d+)$/, read: ([, failed]) => [0, failed, 0] },
  { line: /^(?:ℹ|#) (?:skipped|todo) (\d+)$/, read: ([, skipped]) => [0, 0, skipped] },
  // ours
  { line: /^(\d+) passed, (\d+) failed$/, read: ([, passed, failed]) => [passed, failed, 0] },
];

const results = [];
for (const suite of process.argv.length > 2 ? process.argv.slice(2) : SUITES) {
  console.log(`\n=== make ${suite}`);
  results.push(await run(suite));
}
report(results);

async function run(suite) {
  const start = performance.now();
  const child = spawn("make", ["--no-print-directory", suite], { stdio: ["ignore", "pipe", "pipe"] });
  const counts = [0, 0, 0];
  const read = (line) => {
    console.log(line);
    for (const { line: pattern, read } of COUNTS) {
      const match = pattern.exec(line);
      if (match) read(match).forEach((n, at) => (counts[at] += Number(n)));
    }
  };
  await Promise.all([lines(child.stdout, read), lines(child.stderr, read)]);
  const code = await new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once("exit", (code, signal) => resolve(code ?? signal));
  });
  let [passed, failed, skipped] = counts;
  let remark = "";
  if (passed + failed === 0) remark = "found nothing";
  else if (code !== 0 && failed === 0) remark = `ended with ${code}`;
  if (remark) failed += 1;
  return { suite, passed, failed, skipped, remark, seconds: Math.round((performance.now() - start) / 1000) };
}

async function lines(stream, read) {
  let rest = "";
  // Colours would hide a count.
  const plain = (text) => text.replace(/\x1b\[[0-9;]*m/g, "");
  for await (const chunk of stream.setEncoding("utf8")) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    for (const line of parts) read(plain(line));
  }
  if (rest) read(plain(rest));
}

function report(results) {
  const row = (name, ...cells) =>
    `${name.padEnd(16)}${cells.map((cell) => String(cell).padStart(10)).join("")}`;
  console.log(`\n${row("suite", "passed", "failed", "skipped", "seconds")}`);
  for (const { suite, passed, failed, skipped, seconds, remark } of results) {
    console.log(`${row(suite, passed, failed, skipped, seconds)}${remark && `  ${remark}: make ${suite}`}`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  process.exitCode = sum("failed") > 0 ? 1 : 0;
}
