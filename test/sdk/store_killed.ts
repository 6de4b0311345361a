/** Publishes like any process and stops for ever at its first progress, to be killed: `tsx store_killed.ts FOLDER`. */
import { StoreRig } from "./store_rig.ts";

async function publish(folder: string): Promise<void> {
  const rig = new StoreRig(folder, {});
  const store = await rig.connect();
  const plan = await store.plan(rig.service());
  await plan.apply({
    onProgress: ({ slicesDone }) => {
      if (slicesDone === 0) return;
      process.stdout.write("progress\n");
      const started = performance.now();
      while (performance.now() - started < 20_000);
    },
  });
}

publish(process.argv[2]!).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
