// SPDX-License-Identifier: Apache-2.0
// A process of its own for the spec: ends in the way that its argument says.
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '../create-logger';
import { endProcessGracefully } from '../end-process-gracefully';

const [, , how] = process.argv;
const logger = createLogger({ serviceName: 'sample' });
setInterval(() => undefined, 1000);

endProcessGracefully({
  logger,
  graceMillisMax: how === 'hang' ? 50 : 5000,
  shutdown: async () => {
    if (how === 'fail') throw new Error('cannot close');
    if (how === 'hang' || how === 'twice') await delay(60_000);
    logger.info('closed everything');
  },
});

if (how === 'reject') void Promise.reject(new Error('nobody waits'));
if (how === 'throw') setImmediate(() => fail());
logger.info('up');

function fail(): never {
  throw new Error('a bug');
}
