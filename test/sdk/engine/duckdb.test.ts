import { testEngine } from "../../conformance/engine.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";

testEngine("DuckDB", () => createDuckDbEngine());
testEngine("DuckDB with one thread and little memory", () => createDuckDbEngine({ threads: 1, memoryLimit: "200MB" }));
