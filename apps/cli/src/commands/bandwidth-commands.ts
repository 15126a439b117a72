// SPDX-License-Identifier: Apache-2.0
import { type Bandwidth, restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { describeBandwidth, parseLimit } from '../bandwidth-limit';
import { type CliContext, connect, show, usageError } from '../cli-context';
import { table } from '../output';

interface Target {
  readonly plan?: string;
  readonly masterTarget?: string;
}

interface SetOptions extends Target {
  readonly limit: string[];
  readonly timeZone?: string;
}

const example = `
Example: 5 MB/s in working hours, 50 MB/s otherwise; the first limit that holds now counts
  secondsite bandwidth set --master-target dr-site --limit "5MB/s mon-fri 08:00-18:00" "50MB/s" --time-zone Europe/Berlin`;

/** Which of the two is meant; exactly one of them. */
function withTarget(command: Command): Command {
  return command.option('--plan <name>', 'the change sets of a plan').option('--master-target <name>', 'all that is sent to a master target');
}

async function change(bandwidth: Bandwidth | null, { plan, masterTarget }: Target, { context, command }: { context: CliContext; command: Command }): Promise<void> {
  if ((plan === undefined) === (masterTarget === undefined)) throw usageError('Name either --plan or --master-target.');
  const client = await connect(context, command);
  const body = { bandwidth };
  const value = plan === undefined
    ? await client.call(restRoutes.changeComponent, { path: { component: masterTarget ?? '' }, body })
    : await client.call(restRoutes.changePlan, { path: { plan }, body });
  show(context, command, { value, human: (changed) => `${changed.name}: ${describeBandwidth(changed.bandwidth)}` });
}

function rulesOf(limits: readonly string[]): Bandwidth['rules'] {
  return limits.map((text) => {
    const rule = parseLimit(text);
    if (!rule) throw usageError(`"${text}" is no limit; write it like "5MB/s", "40Mbit/s mon-fri 08:00-18:00" or "1MB/s sat,sun".`);
    return rule;
  });
}

export function addBandwidthCommands(program: Command, context: CliContext): void {
  const bandwidth = program.command('bandwidth').description('limits for what process servers send to master targets');
  withTarget(bandwidth.command('set'))
    .description('set a weekly schedule of limits')
    .requiredOption('--limit <limits...>', 'rate, then days and times if it does not always hold')
    .option('--time-zone <name>', 'IANA name of the time zone of the times (default UTC)')
    .addHelpText('after', example)
    .action(async ({ limit, timeZone = 'UTC', ...target }: SetOptions, command: Command) => {
      await change({ timeZone, rules: rulesOf(limit) }, target, { context, command });
    });
  withTarget(bandwidth.command('clear'))
    .description('remove the limit')
    .action(async (target: Target, command: Command) => {
      await change(null, target, { context, command });
    });
  bandwidth
    .command('list')
    .description('list the limits of plans and master targets')
    .action(async (_options: object, command: Command) => {
      const client = await connect(context, command);
      const [{ plans }, { components }] = [await client.call(restRoutes.listPlans), await client.call(restRoutes.listComponents)];
      const limited = [...plans.map((plan) => ({ kind: 'plan', ...plan })), ...components.map((component) => ({ kind: component.role, ...component }))].filter((one) => one.bandwidth);
      const value = { limits: limited.map(({ kind, name, bandwidth: limit }) => ({ kind, name, bandwidth: limit })) };
      show(context, command, { value, human: ({ limits }) => table(['WHAT', 'NAME', 'LIMIT'], limits.map((row) => [row.kind, row.name, describeBandwidth(row.bandwidth)])) });
    });
}
