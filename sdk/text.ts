/** Numbers and lists of names as people read them. */

/** `3,000,000`. */
export function formatCount(count: number | bigint): string {
  return count.toLocaleString("en-US");
}

/** `1.2 MB`: powers of 1000, one decimal below 100. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `12.5 %`, `< 0.1 %`, `> 99.9 %`: a little is not nothing, and nearly all is not all. */
export function formatShare(share: number): string {
  if (share === 0 || share === 1) return `${100 * share} %`;
  if (share < 0.001) return "< 0.1 %";
  return share > 0.999 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`;
}

/** `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return "unknown";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** How many names an error lists at most. */
const mostNames = 20;

/** Names that there are, for whoever asked for another: all of them, or of many those that begin most like it. */
export function namesLike(wanted: string, names: readonly string[]): string {
  if (names.length <= mostNames) return names.join(", ") || "none";
  const alike = names.map((name) => ({ name, count: commonStart(name, wanted) })).sort((a, b) => b.count - a.count);
  const told = alike.slice(0, mostNames).map(({ name }) => name);
  return `${told.join(", ")} and ${formatCount(names.length - mostNames)} more`;
}

/** How many characters two names have in common before they differ. */
function commonStart(a: string, b: string): number {
  let count = 0;
  while (count < a.length && a[count] === b[count]) count++;
  return count;
}
