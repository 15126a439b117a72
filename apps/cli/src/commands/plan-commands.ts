// SPDX-License-Identifier: Apache-2.0
import { type ConsistencyLevel, consistencyLevelSchema, type Plan, restRoutes } from '@secondsite/contracts';
import { type Command, Option } from 'commander';
import { type CliContext, connect, required, show } from '../cli-context';
import { humanSeconds, parseSeconds, table } from '../output';
import { addRetentionOptions, describeRetention, type RetentionOptions, retentionOf } from './retention-options';
import { pairHeader, pairRows, resyncLines, retentionLines } from './status-view';

interface CreateOptions extends RetentionOptions {
  readonly volume: string[];
  readonly consistencyInterval?: string;
  readonly consistencyLevel?: ConsistencyLevel;
  readonly compression?: 'none' | 'source' | 'process-server';
  readonly folding?: boolean;
  readonly rpoThreshold?: string;
}

function createBody(name: string, options: CreateOptions) {
  const interval = options.consistencyInterval === undefined ? undefined : required(parseSeconds(options.consistencyInterval), '--consistency-interval is a duration such as 15m.');
  const rpoThreshold = options.rpoThreshold === undefined ? undefined : required(parseSeconds(options.rpoThreshold), '--rpo-threshold is a duration such as 15m.');
  return {
    name,
    volumes: options.volume,
    retention: retentionOf(options) ?? {},
    ...(interval === undefined ? {} : { consistencyIntervalSeconds: interval }),
    ...(options.consistencyLevel === undefined ? {} : { consistencyLevel: options.consistencyLevel }),
    ...(options.compression === undefined ? {} : { compression: options.compression }),
    ...(options.folding === undefined ? {} : { folding: options.folding }),
    ...(rpoThreshold === undefined ? {} : { rpoThresholdSeconds: rpoThreshold }),
  };
}

export function describePlan(plan: Plan): string {
  const pins = plan.pins.length === 0 ? '' : `, pinned: ${plan.pins.map(({ name, points }) => `${name} (${points[0]?.time ?? '–'})`).join(', ')}`;
  return `plan ${plan.name}: ${plan.state}, ${plan.volumes.length} volume(s), retention ${describeRetention(plan.retention)}${pins}`;
}

function addCreate(plan: Command, context: CliContext): void {
  addRetentionOptions(plan.command('create <name>').description('protect volumes').requiredOption('--volume <volumes...>', 'volumes by name'))
    .option('--consistency-interval <duration>', 'make a bookmark across the volumes this often')
    .addOption(new Option('--consistency-level <level>', 'what shall stand still at those bookmarks (default crash: nothing)').choices(consistencyLevelSchema.options))
    .option('--compression <where>', 'none, source or process-server')
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
        [`${describePlan(status)}, RPO ${humanSeconds(status.rpoSeconds)}`, table(pairHeader, pairRows(status.pairs)), retentionLines(status.pairs), ...resyncLines(status.pairs)].join('\n');
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
}
