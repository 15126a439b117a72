// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import {
  type ChangeSetHops, type MasterTargetDesiredState, quarantineAtMasterTargetOperation, quarantinedSet, type QuarantinedSet, type RequestOf, scrubOperation, traceAtMasterTargetOperation,
} from '@secondsite/contracts';
import { Answers, OnDesiredState } from '@secondsite/service-kit';
import { isoFromMicros } from '@secondsite/units';
import { DataPlane } from '../data-plane/data-plane';
import type { SetHops } from '../pair/pair-types';

/** What others may ask of the pairs of a master target. */
@Controller()
export class PairsController {
  constructor(private readonly dataPlane: DataPlane) {}

  @OnDesiredState('master-target')
  reconcile(document: MasterTargetDesiredState): Promise<void> {
    return this.dataPlane.server.reconcile(document);
  }

  @Answers(traceAtMasterTargetOperation)
  async trace({ pairId, epoch, sequence }: RequestOf<typeof traceAtMasterTargetOperation>): Promise<{ changeSet?: ChangeSetHops }> {
    const hops = await this.dataPlane.server.hops(pairId, epoch !== undefined && sequence !== undefined ? { epoch, sequence } : undefined);
    return hops ? { changeSet: hopsOf(pairId, hops) } : {};
  }

  @Answers(scrubOperation)
  async scrub({ pairId }: RequestOf<typeof scrubOperation>): Promise<Record<string, never>> {
    await this.dataPlane.server.scrub(pairId);
    return {};
  }

  @Answers(quarantineAtMasterTargetOperation)
  async quarantine({ pairIds }: RequestOf<typeof quarantineAtMasterTargetOperation>): Promise<{ sets: QuarantinedSet[] }> {
    return { sets: (await this.dataPlane.server.quarantined(pairIds)).map(quarantinedSet) };
  }
}

function hopsOf(pairId: string, { epoch, sequence, storedBytes, entryCount, traceparent, cacheDurableAt, undoDurableAt, appliedAt }: SetHops): ChangeSetHops {
  const times = { 'cache-durable': cacheDurableAt, 'undo-durable': undoDurableAt, applied: appliedAt } as const;
  const hops = (Object.keys(times) as (keyof typeof times)[]).flatMap((hop) => {
    const at = times[hop];
    return at === undefined ? [] : [{ hop, at: isoFromMicros(at) }];
  });
  return { pairId, epoch, sequence, storedBytes, entryCount, hops, ...(traceparent !== undefined && { traceId: traceparent.slice(3, 35) }) };
}
