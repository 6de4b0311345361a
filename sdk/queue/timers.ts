/** Timers that are passed in, so that tests decide when time passes. */

export interface Timers {
  /** Runs something once after so many milliseconds; gives back how to stop it. */
  after(ms: number, run: () => void): () => void;
}

/** The computer's timers. */
export const systemTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after so many milliseconds, or at once when the signal aborts. */
export function pause(ms: number, timers: Timers = systemTimers, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const stop = timers.after(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Resolves when the signal aborts, at once when it has. */
export function raised(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/**
 * Waits for work, but not for longer than so many milliseconds; says whether it ended in time. What fails in time fails this too;
 * what comes later nobody hears of.
 */
export async function endsWithin(work: Promise<unknown>, ms: number, timers: Timers = systemTimers): Promise<boolean> {
  let stop = () => {};
  const late = new Promise<boolean>((resolve) => stop = timers.after(ms, () => resolve(false)));
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    stop();
  }
}
