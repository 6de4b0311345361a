/** Says on stderr what is being measured, as benchmarks take minutes: one line that changes, or lines where it is no terminal. */

const started = performance.now();

/** What is measured now, and in which round of how many, from 0 on. */
export function measuring(what: string, round?: number, rounds?: number): void {
  const seconds = ((performance.now() - started) / 1e3).toFixed(0).padStart(4);
  const text = `${seconds} s  ${what}${round === undefined ? "" : `, round ${round + 1} of ${rounds}`}`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

/** All is measured. */
export function measuredAll(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}
