// SPDX-License-Identifier: Apache-2.0
import { type ConsistencyLevel, consistencyLevelSchema, restRoutes } from '@secondsite/contracts';
import { type Command, Option } from 'commander';
import { type CliContext, connect, required, show, usageError } from '../cli-context';
import { humanSeconds, parseSeconds, table } from '../output';
import { describePlan } from './describe-plan';
import { addPlanVolumeCommands, addTakeOverOption } from './plan-volume-commands';
import { addRetentionOptions, type RetentionOptions, retentionOf } from './retention-options';
import { pairHeader, pairRows, resyncLines, retentionLines, savingLines, scrubLines } from './status-view';

interface ResyncOptions {
  readonly autoResync?: string;
  readonly resyncWait?: string;
  readonly resyncWindow?: string;
  readonly timeZone?: string;
}

/** Of `plan set`. */
interface ChangeOptions extends ResyncOptions {
  readonly deduplication?: string;
}

interface CreateOptions extends RetentionOptions, ResyncOptions {
  readonly volume: string[];
  readonly consistencyInterval?: string;
  readonly consistencyLevel?: ConsistencyLevel;
  readonly compression?: 'none' | 'source' | 'process-server';
  readonly deduplication?: string;
  readonly folding?: boolean;
  readonly rpoThreshold?: string;
  readonly takeOver?: boolean;
}

/** Undefined when none of them is given. */
function automaticResync({ autoResync, resyncWait, resyncWindow, timeZone }: ResyncOptions) {
  const [from, to] = resyncWindow?.split('-') ?? [];
  if (resyncWindow !== undefined && to === undefined) throw usageError('--resync-window is FROM-TO such as 18:00-05:00.');
  if (autoResync !== undefined && autoResync !== 'on' && autoResync !== 'off') throw usageError('--auto-resync is on or off.');
  const waitSeconds = resyncWait === undefined ? undefined : required(parseSeconds(resyncWait), '--resync-wait is a duration such as 30m.');
  const change = {
    ...(autoResync === undefined ? {} : { enabled: autoResync === 'on' }), ...(waitSeconds === undefined ? {} : { waitSeconds }),
    ...(from === undefined || to === undefined ? {} : { from, to }), ...(timeZone === undefined ? {} : { timeZone }),
  };
  return Object.keys(change).length === 0 ? undefined : change;
}

function addResyncOptions(command: Command): Command {
  return command
    .option('--auto-resync <onOrOff>', 'whether a volume that has to be read again as a whole begins by itself (default on)')
    .option('--resync-wait <duration>', '… not before so long after that is known (default 30m)')
    .option('--resync-window <from-to>', '… inside this daily window, over midnight if need be (default 18:00-05:00)')
    .option('--time-zone <name>', '… on the clock of this IANA time zone (default UTC)');
}

function createBody(name: string, options: CreateOptions) {
  const interval = options.consistencyInterval === undefined ? undefined : required(parseSeconds(options.consistencyInterval), '--consistency-interval is a duration such as 15m.');
  const rpoThreshold = options.rpoThreshold === undefined ? undefined : required(parseSeconds(options.rpoThreshold), '--rpo-threshold is a duration such as 15m.');
  const resync = automaticResync(options);
  return {
    name,
    volumes: options.volume,
    retention: retentionOf(options) ?? {},
    ...(interval === undefined ? {} : { consistencyIntervalSeconds: interval }),
    ...(options.consistencyLevel === undefined ? {} : { consistencyLevel: options.consistencyLevel }),
    ...(options.compression === undefined ? {} : { compression: options.compression }),
    ...deduplicationOf(options),
    ...(options.folding === undefined ? {} : { folding: options.folding }),
    ...(rpoThreshold === undefined ? {} : { rpoThresholdSeconds: rpoThreshold }),
    ...(resync === undefined ? {} : { automaticResync: resync }),
    ...(options.takeOver ? { takeOver: true } : {}),
  };
}

function deduplicationOf({ deduplication }: { readonly deduplication?: string }) {
  return deduplication === undefined ? {} : { deduplication: deduplication === 'on' };
}

function deduplicationOption(): Option {
  return new Option('--deduplication <onOrOff>', 'send blocks that the master target has in a replica of the tenant as references (default off)').choices(['on', 'off']);
}

function addCreate(plan: Command, context: CliContext): void {
  const command = plan.command('create <name>').description('protect volumes').requiredOption('--volume <volumes...>', 'volumes by name');
  addTakeOverOption(addResyncOptions(addRetentionOptions(command)))
    .option('--consistency-interval <duration>', 'make a bookmark across the volumes this often')
    .addOption(new Option('--consistency-level <level>', 'what shall stand still at those bookmarks (default crash: nothing)').choices(consistencyLevelSchema.options))
    .option('--compression <where>', 'none, source or process-server')
    .addOption(deduplicationOption())
    .option('--rpo-threshold <duration>', 'raise an alert when the RPO is above this (default 15m)')
    .option('--folding', 'last write wins inside a change set: fewer bytes, coarser points')
    .addHelpText('after', '\nExample:\n  secondsite plan create web --volume web1-disk web1-data --retention 24h --retention-space 50GiB --consistency-interval 15m\n  secondsite plan create web --volume web1-disk --keep "all for 24h" --keep "every 4h until 7d" --keep "user bookmarks until 28d"')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.createPlan, { body: createBody(name, options) });
      show(context, command, { value, human: describePlan });
    });
}

function addQueries(plan: Command, context: CliContext): void {
  plan
    .command('status <name>')
    .description('stage, RPO and data in transit of each volume, and what it last chose to read again and why')
    .action(async (name: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.getPlanStatus, { path: { plan: name } });
      const human = (status: typeof value): string =>
        [
          `${describePlan(status)}, RPO ${humanSeconds(status.rpoSeconds)}`, table(pairHeader, pairRows(status.pairs)), retentionLines(status.pairs), savingLines(status.pairs),
          ...scrubLines(status.pairs), ...resyncLines(status.pairs),
        ].join('\n');
      show(context, command, { value, human });
    });
  plan
    .command('list')
    .description('list the plans')
    .action(async (_options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listPlans);
      show(context, command, { value, human: ({ plans }) => (plans.length === 0 ? '(none)' : plans.map(describePlan).join('\n')) });
    });
  plan
    .command('history <name>')
    .description('every fact about the plan, with actor and time')
    .action(async (name: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.getPlanHistory, { path: { plan: name } });
      show(context, command, { value, human: ({ entries }) => table(['TIME', 'ACTOR', 'FACT'], entries.map((entry) => [entry.occurredAt, entry.actor, entry.summary])) });
    });
}

function addChanges(plan: Command, context: CliContext): void {
  const acts = { pause: { route: restRoutes.pausePlan, what: 'stop sending; changed regions are remembered' }, resume: { route: restRoutes.resumePlan, what: 'go on; changed regions are resynchronised' } };
  for (const [act, { route, what }] of Object.entries(acts)) {
    plan
      .command(`${act} <name>`)
      .description(what)
      .action(async (name: string, _options: object, command: Command) => {
        const value = await (await connect(context, command)).call(route, { path: { plan: name } });
        show(context, command, { value, human: describePlan });
      });
  }
  addResyncOptions(plan.command('set <name>'))
    .description('change when volumes that have to be read again as a whole begin by themselves, and whether known blocks are sent as references')
    .addOption(deduplicationOption())
    .addHelpText('after', '\nExample:\n  secondsite plan set web --resync-window 22:00-06:00 --time-zone Europe/Berlin\n  secondsite plan set web --deduplication on')
    .action(async (name: string, options: ChangeOptions, command: Command) => {
      const resync = automaticResync(options);
      const body = { ...(resync && { automaticResync: resync }), ...deduplicationOf(options) };
      if (Object.keys(body).length === 0) throw usageError('Give at least one of --auto-resync, --resync-wait, --resync-window, --time-zone and --deduplication.');
      const value = await (await connect(context, command)).call(restRoutes.changePlan, { path: { plan: name }, body });
      show(context, command, { value, human: describePlan });
    });
  plan
    .command('remove <name>')
    .description('remove protection; replicas and journals stay unless --delete-data')
    .requiredOption('--confirm <name>', 'repeat the name of the plan')
    .option('--delete-data', 'also delete replicas and journals')
    .action(async (name: string, options: { confirm: string; deleteData?: boolean }, command: Command) => {
      const query = { confirm: options.confirm, deleteData: options.deleteData ? ('true' as const) : ('false' as const) };
      await (await connect(context, command)).call(restRoutes.removePlan, { path: { plan: name }, query });
      show(context, command, { value: { removed: name }, human: () => `plan ${name} removed` });
    });
}

export function addPlanCommands(program: Command, context: CliContext): void {
  const plan = program.command('plan').description('protection plans');
  addCreate(plan, context);
  addQueries(plan, context);
  addChanges(plan, context);
  addPlanVolumeCommands(plan, context);
}
