/** Numbers as people read them. */

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
