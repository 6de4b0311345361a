/** The `varve` command; the door to commander. */
import { Command } from "commander";
import { messageOf, VarveError } from "varve";
import { readConfig } from "../config.ts";
import type { Config } from "../config.ts";
import { createLogger } from "../log.ts";
import type { Logger } from "../log.ts";
import { packageVersion } from "../version.ts";

/** What every command gets. */
export interface CommandContext {
  readonly config: Config;
  readonly json: boolean;
  /** Of varve. */
  readonly version: string;
  logger(role: string): Logger;
  print(text: string): void;
}

const version = packageVersion();

const program = new Command("varve")
  .description("A feature store for TypeScript: workers, server and tools of one workspace")
  .version(version)
  .option("-c, --config <file>", "configuration file (default: varve.json where there is one)")
  .option("--json", "print JSON for programs instead of text for people")
  .showHelpAfterError("(`varve help` lists the commands, `varve help COMMAND` their options)");

const hostOption = ["--host <address>", "listen there (default: 127.0.0.1, or as configured)"] as const;
const portOption = [
  "--port <number>",
  "listen on this port, 0 for any free one (default: 6566, or as configured)",
] as const;

program.command("up")
  .description("run everything in this process: scheduler, worker and server, for a laptop")
  .option(...hostOption)
  .option(...portOption)
  .option("--auth", "ask for API keys (default)")
  .option("--no-auth", "answer whoever asks from this computer, and nobody else")
  .action(computing(async (context, _, options) => (await import("./up.ts")).up(context, options)));
program.command("worker")
  .description("run jobs of the queue, and schedule what is due (needs Redis)")
  .action(computing(async (context) => (await import("./worker.ts")).worker(context)));
program.command("serve")
  .description("answer feature requests over HTTP")
  .option(...hostOption)
  .option(...portOption)
  .option("--processes <count>", "answer in so many processes, one per core at best")
  .option("--auth", "ask for API keys (default)")
  .option("--no-auth", "answer whoever asks from this computer, and nobody else")
  .action(computing(async (context, _, options) => (await import("./serve.ts")).serve(context, options)));
const keys = program.command("keys")
  .description("API keys: who may ask the server for what");
keys.command("create <name>")
  .description("make a key; it is shown this once")
  .option("--scope <scope...>", "what it may do: read, ingest, publish, admin", ["read"])
  .option("--workspace <workspace...>", "where (default: the configured workspace)")
  .option("--all-workspaces", "in every workspace, also those to come")
  .option("--expires <duration>", "how long it is accepted, such as 90d (default: for ever)")
  .option("--rate <perSecond>", "how many requests a second each server process answers it")
  .action(run(async (context, [name], options) => (await import("./keys.ts")).create(context, name!, options)));
keys.command("list")
  .description("the keys there are, and what they may do")
  .option("--all", "revoked ones too")
  .action(run(async (context, _, options) => (await import("./keys.ts")).list(context, options)));
keys.command("rotate <key>")
  .description("give a key, by name or id, a new text; the old one works a while longer")
  .option("--overlap <duration>", "how long, such as 1h; 0s for not at all", "24h")
  .option("--expires <duration>", "move the key's end to this far from now")
  .action(run(async (context, [key], options) => (await import("./keys.ts")).rotate(context, key!, options)));
keys.command("revoke <key>")
  .description("end a key, by name or id, within two seconds and for good")
  .action(run(async (context, [key]) => (await import("./keys.ts")).revoke(context, key!)));
program.command("status")
  .description("what is registered, stored, served, running and missing")
  .action(computing(async (context) => (await import("./status.ts")).status(context)));
program.command("doctor")
  .description("check this computer, Redis and the object store; says the way out of every problem")
  .action(run(async (context) => (await import("./doctor.ts")).doctor(context)));
program.command("notebook [folder]")
  .description("open Jupyter with this project's kernels, tslab on Node and Deno; nothing global changes")
  .option("--no-browser", "do not open a browser")
  .option("--no-open", "only set the kernels up, and print JUPYTER_PATH")
  .action(
    run(async (context, [folder], options) => (await import("./notebook.ts")).notebook(context, folder, options)),
  );
program.command("plan <file>")
  .description("show what publishing the definitions of a file would change")
  .option("--delete <name...>", "delete these: view:x, realtimeView:x, service:y, entity:z")
  .action(computing(async (context, [file], options) => (await import("./apply.ts")).plan(context, file!, options)));
program.command("apply <file>")
  .description("publish the definitions of a file and wait for their backfill")
  .option("--delete <name...>", "delete these: view:x, service:y, entity:z")
  .option("--reason <text>", "why; kept in the history")
  .option("--no-wait", "return once the change is committed and its jobs are in line")
  .action(computing(async (context, [file], options) => (await import("./apply.ts")).apply(context, file!, options)));
program.command("explain <name> [key...]")
  .description("why features of a service or view are what they are, for join keys such as origin=ATL")
  .option("--at <instant>", "for which instant (default: now)")
  .option("--from <place>", "offline or source (default: offline where everything is published)")
  .option("--features <name...>", "only these")
  .option("--request <field...>", "what realtime views ask of a request, such as amount=12")
  .option("--limit <count>", "how many rows to show of each rule", "5")
  .action(
    computing(async (context, [name, ...keys], options) =>
      (await import("./explain.ts")).explain(context, name!, keys, options)
    ),
  );
program.command("source <name...>")
  .description("write views and services of the registry as a TypeScript module, to keep in git and `apply`")
  .option("--absolute", "leave paths of files as they are (default: relative to this folder where they lie in it)")
  .action(run(async (context, names, options) => (await import("./source.ts")).source(context, names, options)));
program.command("history")
  .description("who changed what, when and why, newest first")
  .option("--name <name>", "only changes of this")
  .option("--limit <count>", "how many at most", "20")
  .action(run(async (context, _, options) => (await import("./changes.ts")).history(context, options)));
program.command("rollback <name...>")
  .description(
    "serve the version of a view, or the definition of a service, that served before, once it is online; several together",
  )
  .option("--to <version>", "or this one, of one view")
  .action(run(async (context, names, options) => (await import("./changes.ts")).rollback(context, names, options)));
program.command("materialize <view>")
  .description("compute slices of a view by hand")
  .option("--start <instant>", "from the slice that holds it (default: the view's start)")
  .option("--end <instant>", "up to this (default: what has closed)")
  .option("--overwrite", "compute again what is already there")
  .action(
    computing(async (context, [view], options) =>
      (await import("./materialize.ts")).materialize(context, view!, options)
    ),
  );
program.command("cancel <view>")
  .description("cancel jobs of a view that wait or run")
  .action(run(async (context, [view]) => (await import("./materialize.ts")).cancel(context, view!)));
program.command("retry <job>")
  .description("put a dead job back in line; `varve status` shows its id")
  .action(run(async (context, [job]) => (await import("./materialize.ts")).retry(context, job!)));
program.command("skew <view>")
  .description("compare what a view serves with what its definition gives; exits with 1 when something differs")
  .option("--keys <count>", "how many keys to draw", "1000")
  .option("--at <instant>", "for which instant (default: the last one for which everything is loaded)")
  .option("--seed <number>", "draws other keys", "1")
  .action(computing(async (context, [view], options) => (await import("./skew.ts")).skew(context, view!, options)));
program.command("audit <service>")
  .description(
    "compute answers of the audit log again and compare; exits with 1 when one was not what it should have been",
  )
  .option("--from <instant>", "requests from here on (default: a day before --to)")
  .option("--to <instant>", "requests before this (default: now)")
  .option("--limit <count>", "the newest so many", "100000")
  .action(
    computing(async (context, [service], options) => (await import("./audit.ts")).audit(context, service!, options)),
  );
program.command("vacuum")
  .description("find stored data that nothing refers to any more")
  .option("--apply", "remove it")
  .action(run(async (context, _, options) => (await import("./materialize.ts")).vacuum(context, options)));

type Action = (
  context: CommandContext,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<void>;

/** The action of a command that reads or computes features: it knows the aggregations of users. */
function computing(action: Action): (...args: unknown[]) => Promise<void> {
  return run(async (context, ...rest) => {
    if (context.config.modules.length > 0) {
      const { importModules } = await import("./import_file.ts");
      await importModules(context.config.modules);
    }
    await action(context, ...rest);
  });
}

/** Reads the configuration once and turns errors into one message and an exit code. */
function run(action: Action): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    const { config: file, json = false } = program.opts<{ config?: string; json?: boolean }>();
    const command = args.at(-1) as Command;
    const { host, port, processes } = command.opts<{ host?: string; port?: string; processes?: string }>();
    try {
      const config = readConfig({
        ...(file !== undefined && { file }),
        flags: { "--host": host, "--port": port, "--processes": processes },
      });
      const context: CommandContext = {
        config,
        json,
        version,
        logger: (role) => createLogger(role, config.logLevel),
        print: (text) => process.stdout.write(`${text}\n`),
      };
      await action(context, command.args, command.opts());
    } catch (error) {
      fail(error, json);
    }
  };
}

function fail(error: unknown, json: boolean): void {
  const code = error instanceof VarveError ? error.code : "INTERNAL";
  if (json) {
    const details = error instanceof VarveError ? error.details : {};
    process.stderr.write(`${JSON.stringify({ error: { code, message: messageOf(error), details } })}\n`);
  } else {
    // A VarveError says all there is to say; anything else is a fault of ours, whose place is worth knowing.
    process.stderr.write(
      `${error instanceof VarveError ? error.message : (error as Error).stack ?? messageOf(error)}\n`,
    );
  }
  process.exitCode = 1;
}

// `varve history | head`: a reader that has seen enough is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

void program.parseAsync();
