/** Ctrl-C in the middle of a command: it gives up cleanly, and says that nothing is lost. */
import { VarveError } from "varve";

const signals = ["SIGINT", "SIGTERM"] as const;

/** Runs work with a signal that is raised when the person, or the system, wants it to end; a second time ends the process. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupted = new VarveError(
    "CANCELLED",
    "Interrupted: what is done is kept, and the same command goes on from there",
  );
  const onSignal = () => {
    for (const name of signals) process.off(name, onSignal);
    stop.abort(interrupted);
  };
  for (const name of signals) process.on(name, onSignal);
  try {
    return await work(stop.signal);
  } catch (error) {
    // Whatever was cut short says so in its own words.
    throw stop.signal.aborted ? interrupted : error;
  } finally {
    for (const name of signals) process.off(name, onSignal);
  }
}
