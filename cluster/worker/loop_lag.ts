/** Notices when something kept the event loop from running. */

/** How long timers were late. */
export interface Lag {
  readonly lagMs: number;
}

/** Tells of every time the loop was blocked for longer than the limit; gives back how to stop. Does not keep the process alive. */
export function watchLag(
  onLag: (lag: Lag) => void,
  { limitMs = 1_000, everyMs = 250 }: { limitMs?: number; everyMs?: number } = {},
): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const lagMs = Math.round(now - last - everyMs);
    last = now;
    if (lagMs >= limitMs) onLag({ lagMs });
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
