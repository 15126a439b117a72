// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show, usageError } from '../cli-context';
import { humanBytes, humanSeconds, table } from '../output';
import { statusScreen } from './status-view';

const clearScreen = '\u001b[H\u001b[2J';

export function addStatusCommands(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('components, pairs with stage, progress, RPO, rate and where the data waits, alarms')
    .option('--watch', 'renew every second until interrupted')
    .action(async (options: { watch?: boolean }, command: Command) => {
      const client = await connect(context, command);
      do {
        const value = await client.call(restRoutes.getStatus);
        show(context, command, { value, human: (status) => `${options.watch ? clearScreen : ''}${statusScreen(status)}` });
        if (options.watch) await delay(1000);
      } while (options.watch);
    });
  program
    .command('events')
    .description('the newest facts of all kinds: the audit log')
    .option('--limit <count>', 'how many', Number, 50)
    .action(async (options: { limit: number }, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listEvents, { query: { limit: options.limit } });
      show(context, command, { value, human: ({ entries }) => table(['TIME', 'ACTOR', 'FACT'], entries.map((entry) => [entry.occurredAt, entry.actor, entry.summary])) });
    });
}

export function addAlertsCommand(program: Command, context: CliContext): void {
  program
    .command('alerts')
    .description('what is wrong now, and what to do about it')
    .action(async (_options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listAlerts);
      const shown = value.alerts.map(({ severity, kind, subject, since, words, hint }) => `${severity.toUpperCase()} ${kind} of ${subject} since ${since}: ${words}\n  ${hint}`);
      show(context, command, { value, human: () => (shown.length === 0 ? 'no alerts' : shown.join('\n')) });
    });
}

export function addRpoCommand(program: Command, context: CliContext): void {
  program
    .command('rpo <volume>')
    .description('where the seconds of the RPO are spent, and what the bottleneck is')
    .action(async (volume: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.explainRpo, { path: { volume } });
      const rows = [...value.spent, { place: 'other', seconds: value.otherSeconds }].map(({ place, seconds }) => [place, humanSeconds(seconds)]);
      const head = `RPO of ${value.volumeName}: ${humanSeconds(value.rpoSeconds)}; ${value.words}`;
      show(context, command, { value, human: () => `${head}\n${table(['SPENT IN', 'TIME'], rows)}` });
    });
}

export function addTraceCommand(program: Command, context: CliContext): void {
  program
    .command('trace <volume>')
    .description('follow a change set through agent, process server and master target: the newest applied one unless told otherwise')
    .option('--epoch <number>', 'with --sequence: another change set', Number)
    .option('--sequence <number>', 'with --epoch: another change set', Number)
    .action(async (volume: string, options: { epoch?: number; sequence?: number }, command: Command) => {
      if ((options.epoch === undefined) !== (options.sequence === undefined)) throw usageError('Give --epoch and --sequence together.');
      const value = await (await connect(context, command)).call(restRoutes.traceVolume, { path: { volume }, query: options });
      const rows = value.hops.map((hop) => [hop.hop, hop.component, hop.at, `+${hop.sinceFirstMillis.toFixed(1)} ms`]);
      const head = `change set ${value.epoch}/${value.sequence} of ${value.volumeName}: ${value.entryCount ?? '?'} entries, ${humanBytes(value.storedBytes ?? 0)}, trace ${value.traceId ?? 'not sampled'}`;
      show(context, command, { value, human: () => `${head}\n${table(['HOP', 'WHERE', 'TIME', 'SINCE FIRST WRITE'], rows)}` });
    });
}

export function addAdminCommands(program: Command, context: CliContext): void {
  const admin = program.command('admin').description('care of the configuration server');
  admin
    .command('rebuild')
    .description('rebuild every read model from the events, from zero, and compare')
    .action(async (_options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.rebuildReadModels, { timeLimitSeconds: 3600 });
      const rows = value.readModels.map((model) => [model.name, model.rows, model.identical ? 'identical' : 'DIFFERENT']);
      show(context, command, { value, human: () => `${value.events} events replayed\n${table(['READ MODEL', 'ROWS', 'RESULT'], rows)}` });
      if (!value.identical) process.exitCode = 1;
    });
}
