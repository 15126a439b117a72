// SPDX-License-Identifier: Apache-2.0
import { scrubOperation } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findVolume, pairOfVolume } from '../read-models/find';

/** Rounds of the scrubber that an operator asks for. */
export class ScrubService {
  constructor(private readonly bus: MessageBus, private readonly directories: DirectoryCache) {}

  /** Resolves when the master target has begun. Rejects with RefusedRequest, or the bus's OperationError when it does not answer. */
  async request(reference: string): Promise<{ readonly pairId: string; readonly volumeName: string; readonly masterTargetId: string }> {
    const directory = await this.directories.load();
    const { pairId, volumeName, masterTargetId } = pairOfVolume(directory, findVolume(directory, reference));
    await this.bus.request(scrubOperation, { componentId: masterTargetId }, { pairId });
    return { pairId, volumeName, masterTargetId };
  }
}
