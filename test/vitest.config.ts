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
    testTimeout: 90_000,
    hookTimeout: 120_000,
    // Native modules and real servers: processes, not threads.
    pool: "forks",
    maxWorkers: 2,
  },
});
