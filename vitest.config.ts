import { defineConfig } from "vitest/config"

// One worker per core of the smallest machine we support: a guest is several host processes of its own.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    globalSetup: ["test/conformance/setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    maxConcurrency: 2,
    // CI's machines are shared: a pause of some 20 ms at the wrong moment changes what a guest's clock shows. The reporter
    // names what was tried again; the nightly run, which is for finding such things, tries nothing twice.
    retry: process.env["CI"] === "true" && process.env["SENTRY_TEST_NIGHTLY"] !== "1" ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000
  }
})
