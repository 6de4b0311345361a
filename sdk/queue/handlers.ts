/** Who does the work of each kind of job. */
import type { CleanJob, LoadOnlineJob, MaterializeJob } from "./jobs.ts";
import type { Handler, JobContext } from "./queue.ts";

/** One function per kind of job; what they return is kept as the job's result. */
export interface JobHandlers {
  materialize(job: MaterializeJob, context: JobContext): Promise<unknown>;
  loadOnline(job: LoadOnlineJob, context: JobContext): Promise<unknown>;
  clean(job: CleanJob, context: JobContext): Promise<unknown>;
}

/** The handler that `Queue.work` takes. */
export function handlerOf(handlers: JobHandlers): Handler {
  return async (job, context) => {
    switch (job.name) {
      case "materialize":
        return await handlers.materialize(job, context);
      case "load-online":
        return await handlers.loadOnline(job, context);
      case "clean":
        return await handlers.clean(job, context);
    }
  };
}
