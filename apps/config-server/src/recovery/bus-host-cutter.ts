// SPDX-License-Identifier: Apache-2.0
import { cutHeldOperation, holdWritesOperation, releaseWritesOperation } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { setTimeout as delay } from 'node:timers/promises';
import type { HostCutter } from './cut-hosts';

/** A host that is slower to hold lets go by itself before long, so it is not waited for. */
const HOLD_ANSWER_MILLIS_MAX = 100;
/** Whatever is waited for here, writes go on: a host lets go with its cut, or by itself. */
const CUT_ANSWER_MILLIS_MAX = 2_000;
const RELEASE_ANSWER_MILLIS_MAX = 250;
const PAUSE_MILLIS = 25;

/** The agents, asked over the bus. */
export function busHostCutter(bus: MessageBus): HostCutter {
  return {
    hold: async ({ hostId, volumeIds }, hold) => {
      await bus.request(holdWritesOperation, { componentId: hostId, timeoutMillis: HOLD_ANSWER_MILLIS_MAX }, { ...hold, volumeIds: [...volumeIds] });
    },
    cut: ({ hostId, freezeId }, cut) => bus.request(cutHeldOperation, { componentId: hostId, timeoutMillis: CUT_ANSWER_MILLIS_MAX }, { ...cut, freezeId }),
    release: async ({ hostId }, holdId) => {
      await bus.request(releaseWritesOperation, { componentId: hostId, timeoutMillis: RELEASE_ANSWER_MILLIS_MAX }, { holdId });
    },
    millis: () => performance.now(),
    pause: () => delay(PAUSE_MILLIS),
  };
}
