// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import {
  type ChangeSetHops, type ProcessServerDesiredState, quarantineAtProcessServerOperation, quarantinedSet, type QuarantinedSet, type RequestOf, traceAtProcessServerOperation,
} from '@secondsite/contracts';
import { Answers, OnDesiredState } from '@secondsite/service-kit';
import { DataPlane } from '../data-plane/data-plane';

/** What others may ask of the pairs of a process server. */
@Controller()
export class PairsController {
  constructor(private readonly dataPlane: DataPlane) {}

  @OnDesiredState('process-server')
  reconcile(document: ProcessServerDesiredState): Promise<void> {
    return this.dataPlane.server.reconcile(document);
  }

  @Answers(traceAtProcessServerOperation)
  async trace({ pairId, epoch, sequence }: RequestOf<typeof traceAtProcessServerOperation>): Promise<{ changeSet?: ChangeSetHops }> {
    const changeSet = this.dataPlane.server.pairs.get(pairId)?.hops.find(pairId, { epoch, sequence });
    return changeSet ? { changeSet } : {};
  }

  @Answers(quarantineAtProcessServerOperation)
  async quarantine({ pairIds }: RequestOf<typeof quarantineAtProcessServerOperation>): Promise<{ sets: QuarantinedSet[] }> {
    const { pairs } = this.dataPlane.server;
    return { sets: pairIds.flatMap((pairId) => (pairs.get(pairId)?.quarantined() ?? []).map((set) => quarantinedSet({ ...set, pairId }))) };
  }
}
