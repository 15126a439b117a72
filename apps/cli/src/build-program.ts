// SPDX-License-Identifier: Apache-2.0
import { Command } from 'commander';
import type { CliContext } from './cli-context';
import { addBookmarkCommands } from './commands/bookmark-commands';
import { addEnrollCommands, addHostCommands } from './commands/host-commands';
import { addBandwidthCommands } from './commands/bandwidth-commands';
import { addClusterCommands } from './commands/cluster-commands';
import { addPlanCommands } from './commands/plan-commands';
import { addPointCommands, addViewCommands } from './commands/recovery-commands';
import { addQuarantineCommands } from './commands/quarantine-commands';
import { addResyncCommands } from './commands/resync-commands';
import { addScrubCommands } from './commands/scrub-commands';
import { addRetentionCommands } from './commands/retention-commands';
import { addRestoreCommands } from './commands/restore-commands';
import { addAdminCommands, addAlertsCommand, addRpoCommand, addStatusCommands, addTraceCommand } from './commands/status-commands';
import { addVolumeCommands } from './commands/volume-commands';

const examples = `
Examples:
  secondsite up                                   start a cluster on this machine
  secondsite volume add d1 --host h1 --image d1.img
  secondsite plan create p1 --volume d1
  secondsite points p1
  secondsite view open p1 --at -90s

T is ISO 8601 with any fraction (UTC unless it has an offset), or a span before now: -500ms, -90s, -15m, -2h, -7d.
Of the repository: secondsite demo | test | bench`;

/** The whole command line, ready to parse. */
export function buildProgram(context: CliContext): Command {
  const program = new Command('secondsite')
    .description('Bring any server back as it was at any past second.')
    .option('--json', 'print JSON')
    .option('--data <folder>', 'folder of the local cluster (default $SECONDSITE_HOME or ~/.secondsite)')
    .addHelpText('after', examples)
    .showHelpAfterError();
  addClusterCommands(program, context);
  addHostCommands(program, context);
  addEnrollCommands(program, context);
  addVolumeCommands(program, context);
  addPlanCommands(program, context);
  addBandwidthCommands(program, context);
  addResyncCommands(program, context);
  addScrubCommands(program, context);
  addRetentionCommands(program, context);
  addPointCommands(program, context);
  addBookmarkCommands(program, context);
  addViewCommands(program, context);
  addRestoreCommands(program, context);
  addStatusCommands(program, context);
  addAlertsCommand(program, context);
  addRpoCommand(program, context);
  addTraceCommand(program, context);
  addQuarantineCommands(program, context);
  addAdminCommands(program, context);
  return program;
}
