/** What the stop button of a notebook does: it cancels the work that a cell waits for. */
import { kernel, showInCell } from "./display.ts";
import { VarveError } from "./errors.ts";

/** What can be stopped by its caller. */
interface Stopped {
  readonly signal?: AbortSignal | undefined;
}

interface Running {
  readonly stop: AbortController;
  readonly text: string;
}

const running = new Set<Running>();

/** What is told when a read is stopped. */
export const readStopped = "Interrupted: nothing more is read; run the cell again to read it";

/**
 * Runs work that a signal stops. In a kernel an interrupt is a signal of the system, and stops it too: without a listener it would
 * end Deno's process, and tslab would let the work go on behind a cell that has ended.
 */
export async function stoppable<O extends Stopped, T>(
  options: O,
  text: string,
  work: (options: O) => Promise<T>,
): Promise<T> {
  if (kernel() === undefined) return await work(options);
  // While tslab runs the first turn of a cell, Node hears interrupts itself; what is put in its way then is lost, and the next one
  // ends the process.
  await null;
  const stop = new AbortController();
  const entry = { stop, text };
  if (running.size === 0) process.on("SIGINT", interrupt);
  running.add(entry);
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  try {
    return await work({ ...options, signal });
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    running.delete(entry);
    if (running.size === 0) process.off("SIGINT", interrupt);
  }
}

function interrupt(): void {
  // tslab says that the cell was interrupted, and nothing of what has become of its work.
  if (kernel() === "tslab") {
    for (const text of new Set([...running].map((each) => each.text))) showInCell({ "text/plain": text });
  }
  for (const { stop, text } of running) stop.abort(new VarveError("CANCELLED", text));
}
