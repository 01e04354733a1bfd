import { defineConfig } from "vitest/config"

// One worker per core of the smallest machine we support: a guest is several host processes of its own.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/conformance/setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    maxConcurrency: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000
  }
})
