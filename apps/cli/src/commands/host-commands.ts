// SPDX-License-Identifier: Apache-2.0
import { type Priority, restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show } from '../cli-context';
import { table } from '../output';

const roles = ['agent', 'process-server', 'master-target'] as const;
type Role = (typeof roles)[number];

export function addHostCommands(program: Command, context: CliContext): void {
  const host = program.command('host').description('protected hosts');
  host
    .command('add <name>')
    .description('add a host; its agent enrols with a token of role agent')
    .action(async (name: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.addHost, { body: { name } });
      show(context, command, { value, human: (added) => `host ${added.name} added (${added.hostId})` });
    });
  host
    .command('priority <name> <priority>')
    .description('share of a limited link that the volumes of a host get beside others: high (4 parts), normal (2), low (1)')
    .addHelpText('after', '\nExample:\n  secondsite host priority web1 high')
    .action(async (name: string, priority: Priority, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.changeHost, { path: { host: name }, body: { priority } });
      show(context, command, { value, human: (changed) => `host ${changed.name}: priority ${changed.priority}` });
    });
  host
    .command('list')
    .description('list the hosts and whether their agents are heard')
    .action(async (_options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listHosts);
      show(context, command, { value, human: ({ hosts }) => table(['HOST', 'AGENT', 'VOLUMES', 'PRIORITY', 'ADDED'], hosts.map((row) => [row.name, row.agent, row.volumeCount, row.priority, row.addedAt])) });
    });
}

export function addEnrollCommands(program: Command, context: CliContext): void {
  const enroll = program.command('enroll').description('let agents, process servers and master targets in');
  enroll
    .command('token')
    .description('issue a one-time, expiring enrolment token; it is shown only once')
    .requiredOption('--role <role>', roles.join(' | '))
    .option('--host <host>', 'agent only: the host it serves')
    .option('--valid <seconds>', 'how long the token can be used', Number)
    .addHelpText('after', '\nExample:\n  secondsite enroll token --role agent --host web1')
    .action(async (options: { role: Role; host?: string; valid?: number }, command: Command) => {
      const body = { role: options.role, ...(options.host ? { host: options.host } : {}), ...(options.valid ? { validSeconds: options.valid } : {}) };
      const value = await (await connect(context, command)).call(restRoutes.issueEnrolmentToken, { body });
      show(context, command, { value, human: (issued) => `${issued.token}\nvalid once, until ${issued.expiresAt}` });
    });
}
