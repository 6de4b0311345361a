import { defineConfig } from "vitest/config";

const source = (path: string) => new URL(`../${path}`, import.meta.url).pathname;

export default defineConfig({
  // Tests read the sources, so that one class is one class; processes that tests start run the build.
  resolve: {
    alias: [
      { find: /^varve$/, replacement: source("sdk/mod.ts") },
      { find: /^varve\/serving$/, replacement: source("sdk/serving.ts") },
      { find: /^varve\/cluster$/, replacement: source("sdk/cluster.ts") },
    ],
  },
  test: {
    root: source("."),
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What is waited for comes soon, but not on a computer that is busy with other tests.
    expect: { poll: { timeout: 30_000 } },
    // Native modules and real servers: processes, not threads.
    pool: "forks",
    maxWorkers: 2,
  },
});
