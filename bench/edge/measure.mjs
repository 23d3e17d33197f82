// What is measured of a gateway, and how: the load comes from `load`, the processor time and memory from the kernel.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";

const CLOCK_TICKS = 100; // a second, on every Linux there is (`getconf CLK_TCK`)
const PAGE_BYTES = 4096;

export const plainBody = JSON.stringify({
  model: "bench",
  messages: [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content: "What is the capital of France?" },
  ],
  temperature: 0.7,
});

/** `load upstream` sends so many chunks, so many microseconds apart. */
export const streamBody = (chunks, pauseUs = 0) =>
  JSON.stringify({ ...JSON.parse(plainBody), stream: true, max_tokens: chunks, seed: pauseUs });

/** Runs the load, and resolves to its figures: `{ requests, failures, perSecond, wholeUs, firstUs, delayUs, … }`. */
async function runLoad(load, mode, { url, headers }, connections, body, seconds) {
  const lines = Object.entries(headers).map((pair) => pair.join(": "));
  const child = spawn(load, [mode, url, String(connections), String(seconds), ...lines], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(body);
  let text = "";
  for await (const piece of child.stdout.setEncoding("utf8")) text += piece;
  return JSON.parse(text);
}

/** The same for a contender who must fail at nothing; adds the processor time that its process took for each request. */
export async function measure(load, mode, contender, connections, body, seconds) {
  const before = await cpuMs(contender.pid);
  const figures = await runLoad(load, mode, contender, connections, body, seconds);
  const { requests, failures, complaint } = figures;
  if (failures > 0 || requests === 0)
    throw new Error(`${contender.name}: ${failures} failures, ${requests} answers: ${complaint}`);
  return { ...figures, cpuMsPerRequest: ((await cpuMs(contender.pid)) - before) / requests };
}

/** Processor time of a process, in milliseconds (proc(5): utime and stime). */
async function cpuMs(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / CLOCK_TICKS;
}

/** What a process has in memory. */
export async function residentBytes(pid) {
  return Number((await readFile(`/proc/${pid}/statm`, "utf8")).split(" ")[1]) * PAGE_BYTES;
}
